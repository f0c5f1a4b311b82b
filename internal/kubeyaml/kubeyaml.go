// Package kubeyaml reads files of Kubernetes objects: documents with their line numbers, as strictly as the API server
// takes them under `kubectl apply --validate=strict`. And it changes what a document says without touching the rest of
// its text.
//
// It refuses to guess: what YAML and kubectl would tell apart differently, a key that is given twice and a character
// that no editor shows are faults, and each names its line. It opens no file, and does not know what the objects mean.
package kubeyaml

// Fault says what is wrong in a text, where, and what to do about it.
type Fault struct {
	Line    int    // of the file, counts from 1; 0 where unknown
	Field   string // such as "spec.egress[0].to"; empty where the fault is in no field
	Problem string
	Advice  string // empty where the reader of the file knows better

	value string // what stands where another type belongs, as encoding/json words it
}

// ResolveConflict is the advice on a merge conflict, to which the reader of a file that can be written anew may add.
const ResolveConflict = "resolve the conflict"
