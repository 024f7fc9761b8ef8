import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.vertx.VertxParallelEoSStreamProcessor;
import io.vertx.core.Future;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.client.WebClient;
import io.vertx.ext.web.client.WebClientOptions;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * bench-parallel-consumer: Confluent's Parallel Consumer, ordered by key, with its module for Vert.x: no thread for
 * each record, but as many requests open as there are connections. Before a record is delivered a script in Redis
 * tells whether its number is beyond its key's last one, and when the handler has taken it another one notes the
 * number. What fails the library tries again a second later, its key's others behind it. Meant to be at least once,
 * without duplicates, in the order of each key; what became of that where one was killed stands in docs/performance.md.
 *
 * <p>What it lacks and oncegate has: a fence against a consumer that does not know yet that a partition went to another
 * one, and a wait for what is under way when it hands one over; a place for the record that never succeeds (its key
 * waits for it); a bound in bytes.
 *
 * <p>bench-parallel-consumer --bootstrap B --topic T --group G --redis SOCKET --handler PORT --connections N
 */
public final class Main {
    private static final int HANDLER_TIMEOUT_MS = 15_000;
    private static final Duration COMMIT_EVERY = Duration.ofSeconds(1);
    /** Records; the library looks through the keys of all of them in each turn, so that more make it slower. */
    private static final int BUFFERED = 1024;

    private final Ledger ledger;
    private final WebClient handler;

    private Main(Ledger ledger, WebClient handler) {
        this.ledger = ledger;
        this.handler = handler;
    }

    private Future<?> process(ConsumerRecord<String, byte[]> rec) {
        String seq = sequence(rec);
        return Future.fromCompletionStage(ledger.isNew(rec.key(), seq)).compose(isNew -> isNew
            ? deliver(rec.value()).compose(done -> Future.fromCompletionStage(ledger.markDone(rec.key(), seq)))
            : Future.succeededFuture());
    }

    private Future<Void> deliver(byte[] value) {
        return handler.post("/").timeout(HANDLER_TIMEOUT_MS).sendBuffer(Buffer.buffer(value)).compose(answer ->
            answer.statusCode() / 100 == 2 ? Future.succeededFuture() : Future.failedFuture("status " + answer.statusCode()));
    }

    private static String sequence(ConsumerRecord<String, byte[]> rec) {
        Header seq = rec.headers().lastHeader("seq");
        if (seq == null) {
            throw new IllegalArgumentException(rec.topic() + "/" + rec.partition() + "@" + rec.offset() + " has no header seq");
        }
        return new String(seq.value(), StandardCharsets.US_ASCII);
    }

    private static Map<String, String> parse(String[] argv) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < argv.length; i += 2) {
            options.put(argv[i], argv[i + 1]);
        }
        List<String> wanted = List.of("--bootstrap", "--topic", "--group", "--redis", "--handler", "--connections");
        if (argv.length != 2 * wanted.size() || !options.keySet().containsAll(wanted)) {
            System.err.println("bench-parallel-consumer wants " + String.join(", ", wanted) + ", each with its value");
            System.exit(64);
        }
        return options;
    }

    public static void main(String[] argv) {
        Map<String, String> o = parse(argv);
        int connections = Integer.parseInt(o.get("--connections"));
        Vertx vertx = Vertx.vertx(new VertxOptions().setPreferNativeTransport(true));
        WebClient web = WebClient.create(vertx, new WebClientOptions().setDefaultHost("127.0.0.1")
            .setDefaultPort(Integer.parseInt(o.get("--handler"))).setMaxPoolSize(connections).setUserAgentEnabled(false));
        KafkaConsumer<String, byte[]> consumer = new KafkaConsumer<>(
            Map.of("bootstrap.servers", o.get("--bootstrap"), "group.id", o.get("--group"), "auto.offset.reset", "earliest",
                   "enable.auto.commit", "false"),
            new StringDeserializer(), new ByteArrayDeserializer());
        var processor = new VertxParallelEoSStreamProcessor<String, byte[]>(vertx, web,
            ParallelConsumerOptions.<String, byte[]>builder().consumer(consumer).ordering(ProcessingOrder.KEY)
                .maxConcurrency(connections).messageBufferSize(BUFFERED).commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
                .commitInterval(COMMIT_EVERY).build());
        Main main = new Main(new Ledger(o.get("--redis")), web);
        processor.subscribe(List.of(o.get("--topic")));
        processor.vertxFuture(context -> main.process(context.getSingleConsumerRecord()));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            processor.closeDontDrainFirst();
            Runtime.getRuntime().halt(0); // SIGTERM is how it is meant to end
        }));
    }
}
