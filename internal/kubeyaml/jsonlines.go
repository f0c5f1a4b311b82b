package kubeyaml

import (
	gojson "encoding/json"
	"errors"
	"io"
	"strings"
)

// Objects returns the document as one document to an object: kubectl takes JSON objects that follow each other without
// a separator, each on a line of its own (JSON lines) or not. Any other document is returned as it is.
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
			return []Document{d} // for YAML to complain about, or to read
		}
		end := int(decoder.InputOffset())
		// The object's text begins where its braces do, so that the lines of its fields are those of the file.
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
