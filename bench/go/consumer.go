package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"
)

const (
	lanes       = 256
	inFlightMax = 4096 // records taken and not done with
	backoffMin  = 100 * time.Millisecond
	backoffMax  = 10 * time.Second
)

type job struct {
	rec  *kgo.Record
	part *partition
	slot int
}

type consumer struct {
	client   *kgo.Client
	ledger   *ledger
	handler  *fasthttp.HostClient
	url      string
	seed     maphash.Seed
	lanes    [lanes]chan *job // each has room for all that is in flight: poll never waits for a lane
	inFlight atomic.Int64
	room     chan struct{} // told when no more than half is in flight

	mu         sync.Mutex
	partitions map[string]map[int32]*partition
}

// lane is what the goroutine of one keeps from record to record.
type lane struct {
	*consumer
	call call
	req  *fasthttp.Request
	resp *fasthttp.Response
}

func newConsumer() *consumer {
	c := &consumer{seed: maphash.MakeSeed(), room: make(chan struct{}, 1), partitions: map[string]map[int32]*partition{}}
	for i := range c.lanes {
		c.lanes[i] = make(chan *job, inFlightMax)
	}
	return c
}

func (c *consumer) run(jobs <-chan *job) {
	l := &lane{consumer: c, call: call{done: make(chan struct{}, 1)}, req: &fasthttp.Request{}, resp: &fasthttp.Response{}}
	l.req.Header.SetMethod(fasthttp.MethodPost)
	l.req.SetRequestURI(c.url)
	for j := range jobs {
		if j.part.begin() {
			if l.process(j) {
				if last := j.part.done(j.slot); last != nil {
					c.client.MarkCommitRecords(last)
				}
			}
			j.part.end()
		}
		if c.inFlight.Add(-1) == inFlightMax/2 {
			select {
			case c.room <- struct{}{}:
			default:
			}
		}
	}
}

// process is false where the record is no longer ours.
func (l *lane) process(j *job) bool {
	key, seq := "seq:"+string(j.rec.Key), sequence(j.rec)
	isNew := false
	check := func() (err error) {
		isNew, err = l.ledger.isNew(&l.call, key, seq)
		return err
	}
	return l.insist(j, "check", check) && (!isNew ||
		l.insist(j, "deliver", func() error { return l.deliver(j.rec) }) &&
			l.insist(j, "mark", func() error { return l.ledger.markDone(&l.call, key, seq) }))
}

// insist tries until it succeeds, or the record is no longer ours.
func (l *lane) insist(j *job, what string, try func() error) bool {
	for backoff := backoffMin; ; backoff = min(2*backoff, backoffMax) {
		err := try()
		if err == nil {
			return true
		}
		log.Printf("%s %s/%d@%d: %v", what, j.rec.Topic, j.rec.Partition, j.rec.Offset, err)
		select {
		case <-j.part.gone:
			return false
		case <-time.After(backoff):
		}
	}
}

func (l *lane) deliver(rec *kgo.Record) error {
	l.req.SetBodyRaw(rec.Value)
	if err := l.handler.Do(l.req, l.resp); err != nil {
		return err
	}
	if status := l.resp.StatusCode(); status/100 != 2 {
		return fmt.Errorf("status %d", status)
	}
	return nil
}

func sequence(rec *kgo.Record) string {
	for _, h := range rec.Headers {
		if h.Key == "seq" {
			return string(h.Value)
		}
	}
	log.Fatalf("%s/%d@%d has no header seq", rec.Topic, rec.Partition, rec.Offset)
	return ""
}

func (c *consumer) poll(ctx context.Context) {
	for _, jobs := range c.lanes {
		go c.run(jobs)
	}
	for ctx.Err() == nil {
		fetches := c.client.PollRecords(ctx, inFlightMax-int(c.inFlight.Load()))
		fetches.EachError(func(topic string, number int32, err error) {
			if ctx.Err() == nil {
				log.Printf("fetch %s/%d: %v", topic, number, err)
			}
		})
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if part := c.partition(p.Topic, p.Partition); part != nil {
				c.dispatch(part, p.Records)
			}
		})
		c.client.AllowRebalance()
		for ctx.Err() == nil && c.inFlight.Load() > inFlightMax/2 {
			select {
			case <-c.room:
			case <-ctx.Done():
			}
		}
	}
}

func (c *consumer) dispatch(part *partition, records []*kgo.Record) {
	jobs, first := make([]job, len(records)), part.add(records)
	c.inFlight.Add(int64(len(records)))
	for i, rec := range records {
		jobs[i] = job{rec: rec, part: part, slot: first + i}
		c.lanes[maphash.Bytes(c.seed, rec.Key)%lanes] <- &jobs[i]
	}
}

func (c *consumer) partition(topic string, number int32) *partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.partitions[topic][number]
}

func (c *consumer) assigned(_ context.Context, _ *kgo.Client, which map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, numbers := range which {
		if c.partitions[topic] == nil {
			c.partitions[topic] = map[int32]*partition{}
		}
		for _, number := range numbers {
			c.partitions[topic][number] = newPartition()
		}
	}
}

// lost drops what is waiting of these partitions, and stops the retries of what is not.
func (c *consumer) lost(_ context.Context, _ *kgo.Client, which map[string][]int32) {
	c.drop(which)
}

// revoked waits for what is under way, too, and commits it.
func (c *consumer) revoked(ctx context.Context, client *kgo.Client, which map[string][]int32) {
	for _, part := range c.drop(which) {
		<-part.idle
	}
	if err := client.CommitMarkedOffsets(ctx); err != nil {
		log.Printf("commit: %v", err)
	}
}

func (c *consumer) drop(which map[string][]int32) (dropped []*partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, numbers := range which {
		for _, number := range numbers {
			if part := c.partitions[topic][number]; part != nil {
				part.lose()
				dropped = append(dropped, part)
				delete(c.partitions[topic], number)
			}
		}
	}
	return dropped
}
