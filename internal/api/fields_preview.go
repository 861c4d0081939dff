package api

import (
	"maps"
	"reflect"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/apidoc"
)

// What is said of previews and comparisons, beside schemaNames and fields.
func init() {
	maps.Copy(schemaNames, map[reflect.Type]string{
		reflect.TypeFor[client.PreviewRequest]():    "PreviewRequest",
		reflect.TypeFor[client.ResourcePreview]():   "ResourcePreview",
		reflect.TypeFor[client.PreviewBody]():       "PreviewBody",
		reflect.TypeFor[client.MappingProblem]():    "MappingProblem",
		reflect.TypeFor[client.PreviewDifference](): "PreviewDifference",
		reflect.TypeFor[client.CompareRequest]():    "CompareRequest",
		reflect.TypeFor[client.Comparison]():        "Comparison",
		reflect.TypeFor[client.ComparisonField]():   "ComparisonField",
		reflect.TypeFor[client.ComparisonExample](): "ComparisonExample",
		reflect.TypeFor[client.ComparisonFailure](): "ComparisonFailure",
	})
	maps.Copy(fields, map[string]apidoc.Field{
		"PreviewRequest":           {Text: "What to make of a row."},
		"PreviewRequest.id":        {Text: "The key of the row, or its values joined by commas. Default: the row with the highest.", Example: `"42"`},
		"PreviewRequest.event":     {Text: "`create`, `update`, `delete`, or one of the resource's own. Default: `update`.", Example: `"update"`},
		"PreviewRequest.mapping":   {Text: "A changed entry of the resource, as `yaml` of the resource has it: at most 64 KiB.", Example: `"table: contacts\ncolumns: all\n"`},
		"ResourcePreview":          {Text: "What mappings make of a row."},
		"ResourcePreview.id":       {Text: "The row's key; empty where the table has no rows.", Example: `"42"`},
		"ResourcePreview.now":      {Text: "What the mapping that runs makes of it; null where there is no row."},
		"ResourcePreview.changed":  {Text: "What `mapping` makes of it; null without one, or where it has problems."},
		"ResourcePreview.problems": {Text: "What is wrong with `mapping`."},
		"ResourcePreview.diff":     {Text: "Where the two bodies differ."},
		"ResourcePreview.masked":   {Text: "The columns of which the mapping that runs sends nothing, also those that its conditions alone read: `changed` has `***` or null in the place of their values.", Example: `["password_hash"]`},
		"PreviewBody":              {Text: "A body as it would be sent."},
		"PreviewBody.body":         {Text: "The body; null where none is made.", Example: `{"type": "contact.update"}`},
		"PreviewBody.notes":        {Text: "Why it would not be sent, or who would get it.", Example: `["for the admin's subscriptions only: the row's account is null or empty"]`},
		"MappingProblem":           {Text: "A mistake in a mapping."},
		"MappingProblem.line":      {Text: "Its line, from 1.", Example: `3`},
		"MappingProblem.column":    {Text: "Its column, from 1.", Example: `9`},
		"MappingProblem.what":      {Text: "What is wrong.", Example: `"table public.contacts has no column \"nam\""`},
		"MappingProblem.mend":      {Text: "The next step.", Example: `"did you mean \"name\"?"`},
		"PreviewDifference":        {Text: "A value that two bodies do not share. A side that is not there is left out."},
		"PreviewDifference.path":   {Text: "Where.", Example: `"data.name"`},
		"PreviewDifference.was":    {Text: "What is there now.", Example: `"Ada"`},
		"PreviewDifference.is":     {Text: "What the changed mapping makes.", Example: `"ADA"`},
		"CompareRequest":           {Text: "What to compare."},
		"CompareRequest.ids":       {Text: "Keys of rows: at most 100.", Example: `["42", "43"]`},
		"CompareRequest.limit":     {Text: "How many rows to choose, where `ids` are not given: at most 100. Default: 20.", Example: `20`},
		"CompareRequest.at":        {Text: "Where the instance is in the API's answer, as members joined by dots. Default: the answer is the instance.", Example: `"data"`},
		"CompareRequest.within":    {Text: "How long rows are begun: what is not begun by then is in `rest`. One row is compared at least. Default: 15s, which is the most.", Example: `"1s"`},
		"Comparison":               {Text: "How what would be sent differs from what the application's API answers."},
		"Comparison.resource":      {Text: "The resource.", Example: `"contact"`},
		"Comparison.rows":          {Text: "How many rows were compared.", Example: `20`},
		"Comparison.different":     {Text: "How many of them differ.", Example: `1`},
		"Comparison.fields":        {Text: "Where they differ."},
		"Comparison.not_found":     {Text: "Instances that the API does not know, or does not show to the login of `app.headers`.", Example: `["7"]`},
		"Comparison.not_instances": {Text: "Rows that the mapping leaves out.", Example: `[]`},
		"Comparison.failed":        {Text: "Rows that could not be compared."},
		"Comparison.from_api":      {Text: "Fields that are equal by themselves: they are taken from the API's answer.", Example: `["avatar"]`},
		"Comparison.equal":         {Text: "Whether nothing differs, as far as was asked.", Example: `false`},
		"Comparison.stopped":       {Text: "Whether the time was over before all rows were compared.", Example: `false`},
		"Comparison.rest":          {Text: "The rows that were not compared by then: give them as `ids` to go on.", Example: `[]`},
		"ComparisonField":          {Text: "A field in which rows differ."},
		"ComparisonField.path":     {Text: "The field.", Example: `"name"`},
		"ComparisonField.rows":     {Text: "In how many rows.", Example: `1`},
		"ComparisonField.hint":     {Text: "What would make them equal, where that is plain.", Example: `"json: {numeric: number}"`},
		"ComparisonField.examples": {Text: "At most 5."},
		"ComparisonExample":        {Text: "A difference in one row. A side that is not there is left out."},
		"ComparisonExample.key":    {Text: "The row's key.", Example: `"42"`},
		"ComparisonExample.path":   {Text: "Where in it.", Example: `"name"`},
		"ComparisonExample.ours":   {Text: "What would be sent.", Example: `"Ada"`},
		"ComparisonExample.api":    {Text: "What the API answers.", Example: `"ADA"`},
		"ComparisonFailure":        {Text: "Why a row could not be compared."},
		"ComparisonFailure.key":    {Text: "The row's key.", Example: `"43"`},
		"ComparisonFailure.error":  {Text: "Why.", Example: `"there is no contact 43"`},
	})
}
