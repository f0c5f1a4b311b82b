package kubeyaml

import (
	gojson "encoding/json"
	"errors"
	"io"
	"strings"
)

// Objects splits the document into one document per object: kubectl accepts consecutive JSON objects without a
// separator, each on a separate line (JSON lines) or not. Any other document is returned unchanged.
func (d Document) Objects() []Document {
	comments, content := LeadingComments(d.Body)
	if !strings.HasPrefix(strings.TrimLeft(content, " \t"), "{") {
		return []Document{d}
	}
	decoder := gojson.NewDecoder(strings.NewReader(content))
	var objects []Document
	start := 0
	for {
		var object gojson.RawMessage
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || object[0] != '{' {
			return []Document{d} // for YAML to report, or to read
		}
		end := int(decoder.InputOffset())
		// The text starts at the object's brace, so that the lines of its fields are those of the file.
		before := content[start : end-len(object)]
		line := d.Line + strings.Count(comments+content[:start]+before, "\n")
		objects = append(objects, Document{Body: string(object), Line: line})
		start = end
	}
	if len(objects) < 2 {
		return []Document{d}
	}
	return objects
}
