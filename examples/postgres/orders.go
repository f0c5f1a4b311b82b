// Package orders keeps orders in a PostgreSQL database.
//
// It stands for a service of yours that is tested against a real database in a container. It does not depend on
// netzero. The test runs on postgres:17. EXAMPLE_POSTGRES_IMAGE names another image: make test-examples sets it to that
// of make images.
package orders

import (
	"context"
	"database/sql"
	"fmt"
)

// Store has the orders of one database.
type Store struct{ db *sql.DB }

// New returns the store in a database, and creates its table.
func New(ctx context.Context, db *sql.DB) (*Store, error) {
	_, err := db.ExecContext(
		ctx, `CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, product text NOT NULL, quantity int NOT NULL)`,
	)
	if err != nil {
		return nil, fmt.Errorf("make table of orders: %w", err)
	}
	return &Store{db}, nil
}

// Place adds an order.
func (s *Store) Place(ctx context.Context, product string, quantity int) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO orders (product, quantity) VALUES ($1, $2)`, product, quantity)
	if err != nil {
		return fmt.Errorf("place order of %s: %w", product, err)
	}
	return nil
}

// Ordered returns the ordered quantity of a product.
func (s *Store) Ordered(ctx context.Context, product string) (quantity int, err error) {
	err = s.db.QueryRowContext(
		ctx, `SELECT coalesce(sum(quantity), 0) FROM orders WHERE product = $1`, product,
	).Scan(&quantity)
	if err != nil {
		return 0, fmt.Errorf("count orders of %s: %w", product, err)
	}
	return quantity, nil
}
