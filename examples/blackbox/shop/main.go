// Shop takes orders over HTTP. It keeps them in PostgreSQL, and counts them for each product in Redis.
//
//	POST /orders?product=teapot  places an order and answers with the number of orders of that product
//	GET /popular?product=teapot  answers how often it was ordered, according to Redis
//	GET /healthz                 answers once both are reachable
//
// SHOP_DATABASE is the database's URL, SHOP_CACHE the host:port of Redis. It listens at :8080.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	_ "github.com/lib/pq"
	"github.com/redis/go-redis/v9"
)

type shop struct {
	db    *sql.DB
	cache *redis.Client
}

func main() {
	db, err := sql.Open("postgres", os.Getenv("SHOP_DATABASE"))
	if err != nil {
		log.Fatal(err)
	}
	s := &shop{db, redis.NewClient(&redis.Options{Addr: os.Getenv("SHOP_CACHE")})}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	_, err = s.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, product text NOT NULL)`)
	cancel()
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.order)
	mux.HandleFunc("GET /popular", s.popular)
	mux.HandleFunc("GET /healthz", s.healthy)
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	product := r.FormValue("product")
	var n int
	_, err := s.db.ExecContext(r.Context(), `INSERT INTO orders (product) VALUES ($1)`, product)
	if err == nil {
		err = s.db.QueryRowContext(r.Context(), `SELECT count(*) FROM orders WHERE product = $1`, product).Scan(&n)
	}
	if err == nil {
		err = s.cache.Incr(r.Context(), "ordered:"+product).Err()
	}
	answer(w, n, err)
}

func (s *shop) popular(w http.ResponseWriter, r *http.Request) {
	n, err := s.cache.Get(r.Context(), "ordered:"+r.FormValue("product")).Int()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	answer(w, n, err)
}

func (s *shop) healthy(w http.ResponseWriter, r *http.Request) {
	answer(w, 0, errors.Join(s.db.PingContext(r.Context()), s.cache.Ping(r.Context()).Err()))
}

func answer(w http.ResponseWriter, n int, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintln(w, n)
}
