package main

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partition knows, while it is ours, which of its records are done with: what is committed is the
// last one before which none is missing.
type partition struct {
	gone chan struct{} // closed when it is no longer ours
	idle chan struct{} // closed when it is gone and nothing of it is under way

	mu       sync.Mutex
	lost     bool
	underWay int
	base     int // the slot of open[0]
	head     int // of open: the first that is not done with
	open     []slot
}

type slot struct {
	rec  *kgo.Record
	done bool
}

func newPartition() *partition {
	return &partition{gone: make(chan struct{}), idle: make(chan struct{})}
}

// add returns the slot of the first of them.
func (p *partition) add(records []*kgo.Record) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head > len(p.open)/2 {
		rest := copy(p.open, p.open[p.head:])
		clear(p.open[rest:])
		p.open, p.base, p.head = p.open[:rest], p.base+p.head, 0
	}
	first := p.base + len(p.open)
	for _, rec := range records {
		p.open = append(p.open, slot{rec: rec})
	}
	return first
}

// begin is false where the partition is no longer ours.
func (p *partition) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost {
		return false
	}
	p.underWay++
	return true
}

// done returns the record that may be committed now, nil where there is no further one. It is told to the client before end():
// whoever takes the partition over must not find our commit after its own.
func (p *partition) done(at int) (last *kgo.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[at-p.base].done = true
	for p.head < len(p.open) && p.open[p.head].done {
		last = p.open[p.head].rec
		p.open[p.head].rec = nil
		p.head++
	}
	return last
}

func (p *partition) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.underWay--
	p.tellIdle()
}

func (p *partition) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = true
	close(p.gone)
	p.tellIdle()
}

func (p *partition) tellIdle() {
	if p.lost && p.underWay == 0 {
		close(p.idle)
	}
}
