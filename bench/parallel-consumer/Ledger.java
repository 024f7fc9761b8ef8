import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisNoScriptException;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.api.async.RedisAsyncCommands;
import io.lettuce.core.codec.StringCodec;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** The two scripts, over one connection on which what is asked meanwhile goes together. */
final class Ledger {
    /** A script, and the name that Redis has for it. */
    private record Script(String text, String sha1) {}

    private static final String KEPT_SECONDS = Long.toString(30L * 24 * 3600);

    /** KEYS[1] the record's key, ARGV[1] its number; 1 where it was not seen yet. */
    private static final String CHECK = """
        local last = redis.call('GET', KEYS[1])
        return (not last or tonumber(ARGV[1]) > tonumber(last)) and 1 or 0""";

    /** KEYS[1] the record's key, ARGV[1] its number, ARGV[2] seconds until it is forgotten. */
    private static final String MARK = """
        local last = redis.call('GET', KEYS[1])
        if not last or tonumber(ARGV[1]) > tonumber(last) then
          redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
        end
        return 1""";

    private final RedisAsyncCommands<String, String> redis;
    private final Script check;
    private final Script mark;

    Ledger(String socket) {
        redis = RedisClient.create(RedisURI.Builder.socket(socket).build()).connect(StringCodec.ASCII).async();
        check = new Script(CHECK, redis.digest(CHECK));
        mark = new Script(MARK, redis.digest(MARK));
    }

    /** Whether the key's record of this number has not been marked. */
    CompletionStage<Boolean> isNew(String key, String seq) {
        return run(check, key, seq).thenApply(n -> n == 1);
    }

    CompletionStage<Long> markDone(String key, String seq) {
        return run(mark, key, seq, KEPT_SECONDS);
    }

    private CompletionStage<Long> run(Script script, String key, String... args) {
        String[] keys = {"seq:" + key};
        return redis.<Long>evalsha(script.sha1, ScriptOutputType.INTEGER, keys, args).exceptionallyCompose(
            // At the beginning, and where Redis was started anew: it keeps what it is shown.
            e -> e instanceof RedisNoScriptException ? redis.eval(script.text, ScriptOutputType.INTEGER, keys, args)
                                                     : CompletableFuture.failedStage(e));
    }
}
