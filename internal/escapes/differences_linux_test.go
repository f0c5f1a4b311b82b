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
