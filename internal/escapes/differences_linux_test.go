package escapes

import "testing"

func TestOutcomeThatDiffersIsFound(t *testing.T) {
	seen := way{want: "host:443/TCP"}
	unseen := way{why: "it passes below IP"}
	given := way{want: "host:443/TCP", red: "its name is not known"}
	red := given
	red.early = func(host) (func() error, error) { return nil, nil }
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
		{"red", seen, outcome{Flows: flow, Red: true}, true},
		{"nothing, as expected", unseen, outcome{}, false},
		{"better than expected", unseen, outcome{Flows: flow}, true},
		{"red with the text, from before", red,
			outcome{Early: true, Flows: flow, Red: true, text: "so: its name is not known"}, false},
		{"red with another text", red, outcome{Early: true, Flows: flow, Red: true, text: "lost"}, true},
		{"green, from before", red, outcome{Early: true, Flows: flow}, true},
		{"green, from an earlier recording", red, outcome{Flows: flow}, false},
		{"red, from an earlier recording", red, outcome{Flows: flow, Red: true, text: "its name is not known"}, true},
		{"red with the text, at once", given, outcome{Flows: flow, Red: true, text: "its name is not known"}, false},
		{"green, at once", given, outcome{Flows: flow}, true},
		{"unseen, from before", lost, outcome{Early: true}, false},
		{"seen, from before", lost, outcome{Early: true, Flows: flow}, true},
		{"unseen, from an earlier recording", lost, outcome{}, true},
	} {
		if got := c.way.differences(c.outcome); (len(got) > 0) != c.differs {
			t.Errorf("%s: %q", c.reason, got)
		}
	}
}

func TestOutcomesAreReadWithTheirTexts(t *testing.T) {
	all, err := parseOutcomes("a text\n" + outcomeMark + `{"Way":"one","Flows":["host:1/TCP"]}` + "\nmore\n" +
		outcomeMark + `{"Way":"two","Red":true}` + "\n")
	if err != nil || len(all) != 2 || all[0].text != "a text" || all[0].Flows[0] != "host:1/TCP" ||
		all[1].text != "more" || !all[1].Red {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := parseOutcomes("\n" + outcomeMark + "{\n"); err == nil {
		t.Error("half an outcome is no error")
	}
}
