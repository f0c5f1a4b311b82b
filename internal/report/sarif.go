package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// SARIF returns the findings of a run as a log of SARIF 2.1.0, which code scanning reads. Its files are relative to the
// root of the repository. A finding without a known file has no location. The text ends with a line end.
//
// Reference: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
func SARIF(results []Result) ([]byte, error) {
	run := sarifRun{Results: []sarifResult{}, ColumnKind: "unicodeCodePoints"} // null is not a list
	run.Tool.Driver.Name = "NetZero"
	run.Tool.Driver.InformationURI = "https://github.com/netzero-dev/netzero"
	for _, rule := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: rule.rule.sarif(), ShortDescription: sarifText{rule.text},
		})
	}
	for _, r := range results {
		for _, f := range r.Findings() {
			run.Results = append(run.Results, f.sarif(r.Package))
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	})
	return text.Bytes(), err
}

// sarif returns the id of a rule in SARIF.
func (r Rule) sarif() string { return "netzero/" + string(r) }

func (f Finding) sarif(pkg string) sarifResult {
	level := "warning"
	if f.Fails {
		level = "error"
	}
	// The lines of a file move, and the same finding stays one alert.
	sum := sha256.Sum256([]byte(strings.Join([]string{string(f.Rule), pkg, f.Title, f.subject}, "\x00")))
	result := sarifResult{
		RuleID: f.Rule.sarif(), Level: level, Message: sarifText{f.Title + "\n" + f.Text},
		PartialFingerprints: map[string]string{"netzero/v1": hex.EncodeToString(sum[:16])},
		RuleIndex:           slices.IndexFunc(rules, func(d ruleDescription) bool { return d.rule == f.Rule }),
	}
	if f.Place.File == "" {
		return result
	}
	var l sarifLocation
	// A first element with a colon would be a scheme; url.URL puts "./" before it.
	l.Physical.Artifact = sarifArtifact{URI: (&url.URL{Path: f.Place.File}).String(), URIBaseID: "%SRCROOT%"}
	if f.Place.Line > 0 {
		l.Physical.Region = &sarifRegion{StartLine: f.Place.Line}
	}
	result.Locations = []sarifLocation{l}
	return result
}

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver struct {
			Name           string      `json:"name"`
			InformationURI string      `json:"informationUri"`
			Rules          []sarifRule `json:"rules"`
		} `json:"driver"`
	} `json:"tool"`
	ColumnKind string        `json:"columnKind"`
	Results    []sarifResult `json:"results"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID              string            `json:"ruleId"`
	RuleIndex           int               `json:"ruleIndex"`
	Level               string            `json:"level"`
	Message             sarifText         `json:"message"`
	Locations           []sarifLocation   `json:"locations,omitempty"`
	PartialFingerprints map[string]string `json:"partialFingerprints"`
}

type sarifLocation struct {
	Physical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	} `json:"physicalLocation"`
}

type sarifArtifact struct {
	URI       string `json:"uri"`
	URIBaseID string `json:"uriBaseId"`
}

type sarifRegion struct {
	StartLine int `json:"startLine"`
}
