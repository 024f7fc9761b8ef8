/*
 * The terminal; see demo_screen.h. The figures are taken off before a line of the story is written
 * and drawn again below it, so that they never end up in the scrollback.
 */
#include "demo_screen.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define WIDTH       78
#define INDENT      10
#define PLAIN_MS    2000
#define PULSE_MS    1000
#define PULSE_COUNT 58
#define PULSE_FULL  600 /* the highest mark: half as many again as flow; a backlog runs over */

struct demo_screen {
    bool color, live;
    uint64_t begun_ns;
    struct buf figures; /* as drawn last; its lines are on the terminal where drawn > 0 */
    int drawn;
    uint64_t next_plain_ms;
    uint64_t pulse_ms; /* when the current bar began */
    uint64_t pulse_from;
    uint32_t pulses[PULSE_COUNT]; /* deliveries in each second, the newest last */
    size_t pulse_count;
};

static const char *tone_code(enum demo_tone tone)
{
    static const char *const codes[] = {"", "\033[32m", "\033[31m", "\033[1;33m", "\033[2m"};
    return codes[tone];
}

static void add_toned(const struct demo_screen *screen, struct buf *out, enum demo_tone tone,
                      const char *text)
{
    bool toned = screen->color && tone != TONE_PLAIN;
    if (toned)
        buf_add_text(out, tone_code(tone));
    buf_add_text(out, text);
    if (toned)
        buf_add_text(out, "\033[0m");
}

struct demo_screen *demo_screen_new(bool color, bool live)
{
    struct demo_screen *screen = mem_zalloc(sizeof(*screen));
    screen->color = color;
    screen->live = live;
    screen->begun_ns = clock_mono_ns();
    return screen;
}

void demo_screen_free(struct demo_screen **screen)
{
    if (!*screen)
        return;
    buf_deinit(&(*screen)->figures);
    mem_free(*screen);
    *screen = NULL;
}

void demo_screen_begin(struct demo_screen *screen)
{
    screen->begun_ns = clock_mono_ns();
    screen->next_plain_ms = 0;
    screen->pulse_ms = 0;
    screen->pulse_count = 0;
    screen->pulse_from = 0;
}

static uint64_t story_ms(const struct demo_screen *screen)
{
    return (clock_mono_ns() - screen->begun_ns) / NS_PER_MS;
}

static void erase(struct demo_screen *screen, struct buf *out)
{
    if (screen->drawn > 0)
        buf_printf(out, "\033[%dA\r\033[J", screen->drawn);
    screen->drawn = 0;
}

static void draw(struct demo_screen *screen, struct buf *out)
{
    if (!screen->live || screen->figures.len == 0)
        return;
    buf_add_slice(out, buf_slice(&screen->figures));
    for (size_t i = 0; i < screen->figures.len; i++)
        screen->drawn += screen->figures.data[i] == '\n';
}

static void flush(struct buf *out)
{
    if (out->len > 0)
        fwrite(out->data, 1, out->len, stdout);
    fflush(stdout);
    buf_deinit(out);
}

/* Breaks text at blanks; the first line has got its indent already. */
static void add_wrapped(const struct demo_screen *screen, struct buf *out, enum demo_tone tone,
                        const char *text, size_t indent)
{
    char line[WIDTH + 1];
    for (;;) {
        size_t room = WIDTH - indent, len = strlen(text);
        if (len > room) {
            for (len = room; len > 0 && text[len] != ' '; len--)
                ;
            len = len > 0 ? len : room;
        }
        snprintf(line, sizeof(line), "%.*s", (int)len, text);
        add_toned(screen, out, tone, line);
        buf_add_char(out, '\n');
        text += len;
        while (*text == ' ')
            text++;
        if (!*text)
            return;
        buf_printf(out, "%*s", (int)indent, "");
    }
}

void demo_screen_print(struct demo_screen *screen, enum demo_tone tone, const char *fmt, ...)
{
    struct buf out = {0};
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    erase(screen, &out);
    add_toned(screen, &out, tone, text);
    buf_add_char(&out, '\n');
    draw(screen, &out);
    flush(&out);
}

void demo_screen_gap(struct demo_screen *screen)
{
    demo_screen_print(screen, TONE_PLAIN, "%s", "");
}

void demo_screen_tell(struct demo_screen *screen, enum demo_tone tone, const char *fmt, ...)
{
    struct buf out = {0};
    char text[1024], when[24];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    erase(screen, &out);
    snprintf(when, sizeof(when), "%6.1f s  ", (double)story_ms(screen) / 1000);
    add_toned(screen, &out, TONE_DIM, when);
    add_wrapped(screen, &out, tone, text, INDENT);
    draw(screen, &out);
    flush(&out);
}

const char *demo_number(uint64_t n, char out[DEMO_NUMBER_MAX])
{
    char digits[24];
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), at = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    return out;
}

static void take_pulse(struct demo_screen *screen, uint64_t delivered)
{
    uint64_t now = story_ms(screen);
    while (now >= screen->pulse_ms + PULSE_MS) {
        if (screen->pulse_count == PULSE_COUNT) {
            memmove(screen->pulses, screen->pulses + 1, sizeof(screen->pulses) - sizeof(uint32_t));
            screen->pulse_count--;
        }
        screen->pulses[screen->pulse_count++] = (uint32_t)(delivered - screen->pulse_from);
        screen->pulse_from = delivered;
        screen->pulse_ms += PULSE_MS;
    }
}

static void add_pulse(const struct demo_screen *screen, struct buf *out)
{
    static const char levels[] = "_.:-=+*#@";
    buf_add_text(out, "  deliveries/s  |");
    for (size_t i = 0; i < screen->pulse_count; i++) {
        uint32_t n = screen->pulses[i] < PULSE_FULL ? screen->pulses[i] : PULSE_FULL;
        buf_add_char(out, n == 0 ? ' ' : levels[n * (sizeof(levels) - 2) / PULSE_FULL]);
    }
    buf_add_text(out, "|\n");
}

static void show_live(struct demo_screen *screen, const struct demo_figures *f, const char *state,
                      enum demo_tone tone)
{
    char a[DEMO_NUMBER_MAX], b[DEMO_NUMBER_MAX], c[DEMO_NUMBER_MAX], head[WIDTH + 1];
    struct buf out = {0}, *to = &screen->figures;
    size_t rule;
    buf_reset(to);
    snprintf(head, sizeof(head), "  -- %.1f s  gateway: ", (double)story_ms(screen) / 1000);
    buf_add_text(to, head);
    add_toned(screen, to, tone, state);
    rule = strlen(head) + strlen(state) + 1;
    buf_add_char(to, ' ');
    for (; rule < WIDTH; rule++)
        buf_add_char(to, '-');
    buf_printf(to, "\n  records in  %9s     delivered    %9s     lag           %7s\n",
               demo_number(f->acked + f->resends_acked, a), demo_number(f->delivered, b),
               demo_number((uint64_t)f->lag, c));
    buf_printf(to, "  retried at once%6s     in tier 2s   %9s     in tier 5s    %7s\n",
               demo_number(f->retried_inline, a), demo_number(f->parked[0], b),
               demo_number(f->parked[1], c));
    buf_printf(to, "  duplicates stopped %s of %s sent, dead-lettered %s\n",
               demo_number(f->resends_stopped, a), demo_number(f->resends_acked, b),
               demo_number(f->dead, c));
    add_pulse(screen, to);
    erase(screen, &out);
    draw(screen, &out);
    flush(&out);
}

static void show_plain(struct demo_screen *screen, const struct demo_figures *f, const char *state)
{
    if (story_ms(screen) < screen->next_plain_ms)
        return;
    screen->next_plain_ms = story_ms(screen) + PLAIN_MS;
    printf("%6.1f s  in=%llu delivered=%llu lag=%lld stopped=%llu inline=%llu 2s=%llu 5s=%llu "
           "dead=%llu %s\n",
           (double)story_ms(screen) / 1000, (unsigned long long)(f->acked + f->resends_acked),
           (unsigned long long)f->delivered, (long long)f->lag,
           (unsigned long long)f->resends_stopped, (unsigned long long)f->retried_inline,
           (unsigned long long)f->parked[0], (unsigned long long)f->parked[1],
           (unsigned long long)f->dead, state);
    fflush(stdout);
}

void demo_screen_figures(struct demo_screen *screen, const struct demo_figures *figures,
                         const char *state, enum demo_tone tone)
{
    take_pulse(screen, figures->delivered);
    if (screen->live)
        show_live(screen, figures, state, tone);
    else
        show_plain(screen, figures, state);
}

void demo_screen_settle(struct demo_screen *screen)
{
    buf_reset(&screen->figures);
    screen->drawn = 0;
}
