// Package repo holds the rules of this repository as tests: who may import whom, what is exported, what the documents
// say, and how CI is set up. It has no code of its own, and no package imports it.
package repo
