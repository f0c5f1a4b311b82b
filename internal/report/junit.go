package report

import "encoding/xml"

// JUnit returns the results of a run as XML in the form of JUnit that CI systems read: a suite for each package, with a
// test case for each recording. The attributes of a result are properties of its test case. Durations are not known.
// The order is that of the results, and the text ends with a line end.
//
// Reference: https://github.com/testmoapp/junitxml
func JUnit(results []Result) ([]byte, error) {
	var all junitSuites
	index := make(map[string]int)
	for _, r := range results {
		i, known := index[r.Package]
		if !known {
			i = len(all.Suites)
			index[r.Package] = i
			all.Suites = append(all.Suites, junitSuite{Name: clean(r.Package)})
		}
		suite := &all.Suites[i]
		c := junitCase{Class: suite.Name, Name: clean(r.Test)}
		for _, a := range r.Attributes() {
			c.Properties = append(c.Properties, junitProperty(a))
		}
		if r.Failed() {
			c.Failure = &junitFailure{Type: "netzero", Message: r.Outcome(), Text: r.String()}
			suite.Failures++
			all.Failures++
		}
		suite.Cases = append(suite.Cases, c)
		suite.Tests++
		all.Tests++
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), append(text, '\n')...), nil
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class      string          `xml:"classname,attr"`
	Name       string          `xml:"name,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Failure    *junitFailure   `xml:"failure"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitFailure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}
