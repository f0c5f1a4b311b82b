// Package externalapi pays out to a customer. It gets the exchange rate from one HTTPS service, pays by another, and
// gets its credentials from the cloud's instance metadata service.
//
// It stands for a service of yours. It does not depend on netzero.
package externalapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Service has the base URLs of its dependencies.
type Service struct {
	Rates    string
	Payments string
	Metadata string // http://169.254.169.254 on every large cloud
	Client   *http.Client
}

// PayOut pays an amount in a currency and returns the receipt.
func (s *Service) PayOut(ctx context.Context, amount int, currency string) (string, error) {
	token, err := s.get(ctx, s.Metadata+"/latest/meta-data/token", "")
	if err != nil {
		return "", fmt.Errorf("ask for credentials: %w", err)
	}
	rate, err := s.get(ctx, s.Rates+"/"+currency, "")
	if err != nil {
		return "", fmt.Errorf("ask for rate: %w", err)
	}
	receipt, err := s.get(ctx, fmt.Sprintf("%s/pay?amount=%d&rate=%s", s.Payments, amount, rate), token)
	if err != nil {
		return "", fmt.Errorf("pay: %w", err)
	}
	return receipt, nil
}

func (s *Service) get(ctx context.Context, url, token string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.Client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return strings.TrimSpace(string(body)), err
}
