package mapping

import (
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
)

// TestProblemsShowNoText writes wrong expressions around a text that came from the environment.
func TestProblemsShowNoText(t *testing.T) {
	t.Parallel()
	text := &cdc.Type{OID: 25, Name: "text", Kind: 'b', Delim: ','}
	table := &cdc.Table{TableName: cdc.TableName{Schema: "public", Name: "t"}, Kind: 'r', Identity: cdc.IdentityDefault, Key: []int{0},
		Columns: []cdc.Column{{Name: "id", Type: text, Identity: true}}}
	for _, expression := range []string{
		`id + "hunter2" * 2`, `id "hunter2"`, `"hunter2" id`, `id matches "[hunter2"`, `unknown("hunter2")`, `upper("hunter2", 'hunter2')`,
		"id + `hunter2` - 1", `{"hunter2": 1} + 1`, `id["hunter2"] + 1`, `"hunter2`, `id == "hunter2" ?`, `duration("hunter2") + 1`, `date("hunter2") * 2`,
		`"hun\"ter2" * 1`, `let x = "hunter2"; x * 2`, `["hunter2"] + 1`, `"hunter2".foo`, `"hunter2" ?? 1 * id`, `toJSON("hunter2") * 1`, `int("hunter2") + id`,
	} {
		var node yaml.Node
		if err := yaml.Unmarshal([]byte("x"), &node); err != nil {
			t.Fatal(err)
		}
		root := node.Content[0]
		root.Value, root.Style = "${"+expression+"}", yaml.SingleQuotedStyle
		cfg := Config{Resources: []Resource{{Name: "thing", Table: table.TableName, Representation: &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map",
			Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: "member"}, root}}}}}
		d, problems := Parse(cfg)
		if len(problems) == 0 {
			_, problems = d.Compile(map[cdc.TableName]*cdc.Table{table.TableName: table}, "lineage")
		}
		if shown := problems.Error(); strings.Contains(strings.ReplaceAll(shown, `\"`, ""), "hunter2") {
			t.Errorf("%s: %s", expression, shown)
		}
	}
}
