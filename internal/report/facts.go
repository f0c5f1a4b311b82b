package report

import "github.com/netzero-dev/netzero/netzerotest/flow"

// Facts returns what is known about how a flow was opened, in the words of the failure text: when and how often, how
// often the kernel refused it, by which process, at which lines of the module, in which test and container, and what
// named the destination. A name is that of a field in the text ("opened", "by", "at"), and may occur several times.
func Facts(f flow.Flow, module string) []Attribute {
	var all []Attribute
	add := func(name, value string) {
		if value != "" {
			all = append(all, Attribute{name, value})
		}
	}
	label, text, _ := seen(f)
	add(label, text)
	add("refused", Refusal(f))
	if !isFromCluster(f) {
		for _, at := range calls(f.Process.Stack, module) {
			add("at", at)
		}
		add("by", process(f.Process))
		add("from", descent(f.Process))
		add("in", container(f.Process))
		add("test", clean(f.Process.Test))
	}
	add("exec", clean(f.Process.Exec))
	add("name", nameOf(f))
	add("address", addresses(Denied{Flow: f}))
	return all
}
