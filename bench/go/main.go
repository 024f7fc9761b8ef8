// bench-go: what a good engineer writes who wants no framework. franz-go, go-redis and fasthttp; a
// goroutine for each of 256 lanes, a key always in the same one. Before a record is delivered a script
// in Redis tells whether its number is beyond its key's last one, and when the handler has taken it
// another one notes the number; both go over one connection in pipelines. What fails is tried again
// in its place until it succeeds. Once a second is committed what all of a partition's records up to
// it are done with. At least once, without duplicates, in the order of each key.
//
// What it lacks and oncegate has: a fence against a consumer that does not know yet that a partition
// went to another one; a place for the record that never succeeds (its lane, one key in 256, waits
// for it, and its partition's offset with it); a bound in bytes.
//
//	bench-go -bootstrap B -topic T -group G -redis SOCKET -handler PORT [-connections N]
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"
)

const (
	commitEvery    = time.Second
	handlerTimeout = 15 * time.Second
	idleTimeout    = 4 * time.Second
)

type options struct {
	bootstrap, topic, group, redis string
	handler, connections           int
}

func parse() (o options) {
	flag.StringVar(&o.bootstrap, "bootstrap", "", "`HOST:PORT` of a broker")
	flag.StringVar(&o.topic, "topic", "", "")
	flag.StringVar(&o.group, "group", "", "")
	flag.StringVar(&o.redis, "redis", "", "`PATH` of its socket")
	flag.IntVar(&o.handler, "handler", 0, "`PORT` on 127.0.0.1")
	flag.IntVar(&o.connections, "connections", 64, "to the handler, and so requests open at once")
	flag.Parse()
	if o.bootstrap == "" || o.topic == "" || o.group == "" || o.redis == "" || o.handler == 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(64)
	}
	return o
}

func (c *consumer) connect(o options) (err error) {
	c.url = fmt.Sprintf("http://127.0.0.1:%d/", o.handler)
	c.handler = &fasthttp.HostClient{
		Addr:                          fmt.Sprintf("127.0.0.1:%d", o.handler),
		MaxConns:                      o.connections,
		MaxConnWaitTimeout:            handlerTimeout,
		MaxIdleConnDuration:           idleTimeout,
		ReadTimeout:                   handlerTimeout,
		WriteTimeout:                  handlerTimeout,
		NoDefaultUserAgentHeader:      true,
		DisableHeaderNamesNormalizing: true,
		DisablePathNormalizing:        true,
	}
	if c.ledger, err = newLedger(o.redis); err != nil {
		return err
	}
	c.client, err = kgo.NewClient(
		kgo.SeedBrokers(o.bootstrap),
		kgo.ConsumeTopics(o.topic),
		kgo.ConsumerGroup(o.group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(commitEvery),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(c.assigned),
		kgo.OnPartitionsRevoked(c.revoked),
		kgo.OnPartitionsLost(c.lost),
	)
	return err
}

func main() {
	o := parse()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	c := newConsumer()
	if err := c.connect(o); err != nil {
		log.Fatal(err)
	}
	c.poll(ctx)
	c.client.CloseAllowingRebalance() // calls revoked(): what has begun ends, and is committed
}
