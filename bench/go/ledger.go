package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/redis/go-redis/v9"
)

// KEYS[1] the record's key, ARGV[1] its number; 1 where it was not seen yet.
const checkScript = `
local last = redis.call('GET', KEYS[1])
return (not last or tonumber(ARGV[1]) > tonumber(last)) and 1 or 0`

// KEYS[1] the record's key, ARGV[1] its number, ARGV[2] seconds until it is forgotten.
const markScript = `
local last = redis.call('GET', KEYS[1])
if not last or tonumber(ARGV[1]) > tonumber(last) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
return 1`

const (
	keptSeconds = 30 * 24 * 3600
	pipelines   = 2 // on their way at once; with one Redis waits for us, and we for it
	pipelineMax = lanes
)

// ledger runs the scripts. What lanes ask while a pipeline is on its way goes with the next one.
type ledger struct {
	client      *redis.Client
	check, mark string // their SHA1
	calls       chan *call
}

// call is one script on its way; each lane has one.
type call struct {
	cmd  *redis.IntCmd
	done chan struct{}
}

func newLedger(socket string) (*ledger, error) {
	l := &ledger{
		client: redis.NewClient(&redis.Options{Network: "unix", Addr: socket, DisableIndentity: true}),
		calls:  make(chan *call, lanes),
	}
	if err := l.load(); err != nil {
		return nil, err
	}
	for i := 0; i < pipelines; i++ {
		go l.run()
	}
	return l, nil
}

func (l *ledger) load() (err error) {
	if l.check, err = l.client.ScriptLoad(context.Background(), checkScript).Result(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	if l.mark, err = l.client.ScriptLoad(context.Background(), markScript).Result(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

func (l *ledger) run() {
	ctx := context.Background()
	batch := make([]*call, 0, pipelineMax)
	for first := range l.calls {
		runtime.Gosched() // so that the other lanes that have something to ask do it now: 256 in a pipeline, not a dozen
		batch = append(batch[:0], first)
	gather:
		for len(batch) < pipelineMax {
			select {
			case next := <-l.calls:
				batch = append(batch, next)
			default:
				break gather
			}
		}
		pipe := l.client.Pipeline()
		for _, c := range batch {
			_ = pipe.Process(ctx, c.cmd)
		}
		// Each command has its own error, whether the pipeline's or that of its script.
		if _, err := pipe.Exec(ctx); redis.HasErrorPrefix(err, "NOSCRIPT") {
			_ = l.load() // Redis was started anew: who failed asks again
		}
		for _, c := range batch {
			c.done <- struct{}{}
		}
	}
}

func (l *ledger) do(c *call, args ...interface{}) (int64, error) {
	c.cmd = redis.NewIntCmd(context.Background(), args...)
	l.calls <- c
	<-c.done
	return c.cmd.Result()
}

// isNew tells whether the key's record of this number has not been marked.
func (l *ledger) isNew(c *call, key, seq string) (bool, error) {
	n, err := l.do(c, "evalsha", l.check, 1, key, seq)
	return n == 1, err
}

func (l *ledger) markDone(c *call, key, seq string) error {
	_, err := l.do(c, "evalsha", l.mark, 1, key, seq, keptSeconds)
	return err
}
