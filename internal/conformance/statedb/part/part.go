// Package part has the persistent map in which Cilium's selector cache keeps its selections. This one copies.
package part

import "maps"

// RegisterKeyType does nothing, because this package compares keys directly.
func RegisterKeyType[K any](func(K) []byte) {}

// Map is immutable.
type Map[K comparable, V any] struct{ values map[K]V }

// Get returns the value of a key.
func (m Map[K, V]) Get(key K) (V, bool) { v, ok := m.values[key]; return v, ok }

// Txn returns a copy that can be changed.
func (m Map[K, V]) Txn() MapTxn[K, V] {
	values := maps.Clone(m.values)
	if values == nil {
		values = make(map[K]V)
	}
	return MapTxn[K, V]{values}
}

// MapTxn is a mutable map.
type MapTxn[K comparable, V any] struct{ values map[K]V }

// Set sets the value of a key.
func (m MapTxn[K, V]) Set(key K, value V) { m.values[key] = value }

// Delete deletes a key.
func (m MapTxn[K, V]) Delete(key K) { delete(m.values, key) }

// Commit returns the current contents.
func (m MapTxn[K, V]) Commit() Map[K, V] { return Map[K, V]{maps.Clone(m.values)} }
