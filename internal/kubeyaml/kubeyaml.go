// Package kubeyaml reads files of Kubernetes objects: documents with their line numbers, as strictly as the API server
// under `kubectl apply --validate=strict`. It also changes the content of a document without touching the rest of its
// text.
//
// It does not guess: text that YAML and kubectl would split differently, duplicate keys and invisible characters are
// faults, each with its line. It opens no file, and does not know the meaning of the objects.
package kubeyaml

// Fault describes a mistake in a text, its place, and the fix.
type Fault struct {
	Line    int    // of the file, from 1; 0 if unknown
	Field   string // such as "spec.egress[0].to"; empty if no field is at fault
	Problem string
	Advice  string // empty if the caller knows a better one

	value string // the value of the wrong type, in encoding/json's words
}

// ResolveConflict is the advice for a merge conflict. A caller that can rewrite the file may add to it.
const ResolveConflict = "resolve the conflict"
