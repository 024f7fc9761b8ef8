module oncegate/bench/redpanda-connect

go 1.25

require github.com/redpanda-data/connect/v4 v4.93.0
