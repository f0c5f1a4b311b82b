package escapes

// children are the actions of this binary in a process that a way starts.
var children = map[string]func(to host) error{
	"tcp": func(to host) error { return talkTCP(to.tcp4()) },
}
