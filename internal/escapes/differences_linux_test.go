package escapes

import "testing"

func TestDifferences_Found(t *testing.T) {
	seen := way{want: "host:443/TCP"}
	unseen := way{why: "it passes below IP"}
	given := way{want: "host:443/TCP", failure: "its name is not known"}
	failing := given
	failing.early = func(host) (func() error, error) { return nil, nil }
	lost := way{want: "host:443/TCP", unseenBefore: "nothing distinguishes it from an unrelated process"}
	flow := []string{"host:443/TCP"}
	for _, c := range []struct {
		reason  string
		way     way
		outcome outcome
		differs bool
	}{
		{"the flow", seen, outcome{Flows: flow}, false},
		{"no flow", seen, outcome{}, true},
		{"another flow besides", seen, outcome{Flows: append(flow, "host:444/TCP")}, true},
		{"fails", seen, outcome{Flows: flow, Failed: true}, true},
		{"nothing, as expected", unseen, outcome{}, false},
		{"better than expected", unseen, outcome{Flows: flow}, true},
		{"fails with the text, opened before all recordings", failing,
			outcome{Early: true, Flows: flow, Failed: true, text: "so: its name is not known"}, false},
		{"fails with another text", failing, outcome{Early: true, Flows: flow, Failed: true, text: "lost"}, true},
		{"passes, opened before all recordings", failing, outcome{Early: true, Flows: flow}, true},
		{"passes, opened in an earlier recording", failing, outcome{Flows: flow}, false},
		{"fails, opened in an earlier recording", failing,
			outcome{Flows: flow, Failed: true, text: "its name is not known"}, true},
		{"fails with the text, opened in this recording", given,
			outcome{Flows: flow, Failed: true, text: "its name is not known"}, false},
		{"passes, opened in this recording", given, outcome{Flows: flow}, true},
		{"unseen, opened before all recordings", lost, outcome{Early: true}, false},
		{"seen, opened before all recordings", lost, outcome{Early: true, Flows: flow}, true},
		{"unseen, opened in an earlier recording", lost, outcome{}, true},
	} {
		if got := c.way.differences(c.outcome); (len(got) > 0) != c.differs {
			t.Errorf("%s: %q", c.reason, got)
		}
	}
}

func TestOutcomes_ParsedWithText(t *testing.T) {
	all, err := parseOutcomes("a text\n" + outcomeMark + `{"Way":"one","Flows":["host:1/TCP"]}` + "\nmore\n" +
		outcomeMark + `{"Way":"two","Failed":true}` + "\n")
	if err != nil || len(all) != 2 || all[0].text != "a text" || all[0].Flows[0] != "host:1/TCP" ||
		all[1].text != "more" || !all[1].Failed {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := parseOutcomes("\n" + outcomeMark + "{\n"); err == nil {
		t.Error("half an outcome is no error")
	}
}

func TestEnforcedDifferences_Found(t *testing.T) {
	refused := way{want: "host:443/TCP, host:444/TCP"}
	silent := way{want: "host:443/TCP", silent: true}
	passing := way{want: "host:443/TCP", passes: "it was connected before"}
	lost := way{want: "host:443/TCP", unseenBefore: "nothing distinguishes it from an unrelated process"}
	unseen := way{why: "it passes below IP"}
	inside := way{why: "it does not leave the machine", inside: true}
	flow, other := []string{"host:443/TCP"}, []string{"host:445/TCP"}
	const failed, report = "connect: operation not permitted", "1 unexpected flow refused in the kernel"
	result := outcome{Flows: flow, Refused: flow, Error: failed, Failed: true, text: report}
	change := func(o outcome, to func(o *outcome)) outcome {
		to(&o)
		return o
	}
	seen := outcome{Flows: flow, Failed: true}
	for _, c := range []struct {
		reason  string
		way     way
		outcome outcome
		sent    bool
		differs bool
	}{
		{"refused at the first flow", refused, result, false, false},
		{"a packet leaves", refused, result, true, true},
		{"no flow", refused, change(result, func(o *outcome) { o.Flows, o.Refused = nil, nil }), false, true},
		{"another flow", refused, change(result, func(o *outcome) { o.Flows, o.Refused = other, other }), false, true},
		{"not counted", refused, change(result, func(o *outcome) { o.Refused = nil }), false, true},
		{"some attempts pass", refused,
			change(result, func(o *outcome) { o.Refused, o.PartlyRefused = nil, flow }), false, true},
		{"the call succeeds", refused, change(result, func(o *outcome) { o.Error = "" }), false, true},
		{"the call succeeds in silence", silent, change(result, func(o *outcome) { o.Error = "" }), false, false},
		{"the test passes", refused, change(result, func(o *outcome) { o.Failed = false }), false, true},
		{"another report", refused, change(result, func(o *outcome) { o.text = "1 unexpected flow" }), false, true},

		{"passes", passing, seen, true, false},
		{"refused though it should pass", passing, result, false, true},
		{"counted though it passes", passing, change(seen, func(o *outcome) { o.Refused = flow }), true, true},
		{"partly counted", passing, change(seen, func(o *outcome) { o.PartlyRefused = flow }), true, true},
		{"nothing leaves", passing, seen, false, true},
		{"the way fails", passing, change(seen, func(o *outcome) { o.Error = failed }), true, true},
		{"the policy is not compared", passing, change(seen, func(o *outcome) { o.Failed = false }), true, true},
		{"passes without its flow", passing, outcome{}, true, true},

		{"unseen, begun before all recordings", lost, outcome{Early: true}, true, false},
		{"refused, begun in an earlier recording", lost, result, false, false},
		{"not refused, begun in an earlier recording", lost, seen, true, true},
		{"never seen", unseen, outcome{}, true, false},
		{"never seen, and refused", unseen, outcome{Error: failed}, false, true},
		{"does not leave", inside, outcome{}, false, false},
	} {
		if got := c.way.enforcedDifferences(c.outcome, c.sent); (len(got) > 0) != c.differs {
			t.Errorf("%s: %q", c.reason, got)
		}
	}
}
