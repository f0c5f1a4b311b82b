// Package hermetic greets visitors, formally or not: GET / answers "Hello!" or "Good day.".
//
// It stands for a service of yours. When it starts, it can get its feature flags from another host. If that host does
// not answer, it starts with built-in flags, so that nobody notices whether it tried. It does not depend on netzero.
package hermetic

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
)

// Service answers requests with the flags that it started with.
type Service struct {
	flags flags
}

type flags struct {
	Formal bool `json:"formal"`
}

// Start returns a service with the flags at a URL. It has built-in ones if the URL is empty or does not answer.
func Start(ctx context.Context, flagsURL string) *Service {
	if flagsURL == "" {
		return &Service{}
	}
	remote, err := fetch(ctx, flagsURL)
	if err != nil {
		log.Printf("hermetic: starts with built-in flags: %v", err)
	}
	return &Service{flags: remote}
}

// fetch gets flags over HTTP.
func fetch(ctx context.Context, url string) (flags, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return flags{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return flags{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return flags{}, fmt.Errorf("GET %s: %s", url, response.Status)
	}
	var remote flags
	if err := json.NewDecoder(response.Body).Decode(&remote); err != nil {
		return flags{}, fmt.Errorf("decode flags: %w", err)
	}
	return remote, nil
}

// ServeHTTP greets one visitor.
func (s *Service) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	greeting := "Hello!"
	if s.flags.Formal {
		greeting = "Good day."
	}
	fmt.Fprintln(w, greeting)
}
