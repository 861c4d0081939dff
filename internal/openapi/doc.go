// Package openapi reads of an OpenAPI document what its API returns for one instance: the path with the parameter that names
// it, and the shape of the answer. It knows documents of 3.0 and 3.1, as YAML and as JSON, and follows references within the
// document only.
//
// Documents come from generators and from people, so everything that is not understood is taken for something of which
// nothing is known. What a document can cost is bounded: schemas that contain themselves end at the repetition, and a shape
// has at most MaxProperties.
package openapi
