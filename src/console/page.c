/*
 * See page.h. The script and the style have the hash of what they are in their names, so they may
 * be kept for ever; the index names them, and is asked for each time by its ETag. The policy lets
 * the page load its own files and ask its own server, and nothing else: no script or style within
 * the document, no other host, and no text of a record that becomes markup (trusted types, of which
 * none may be made).
 */
#include "console/page.h"

#include <string.h>

#include "console/page_files.h"
#include "console/reply.h"

static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                             "img-src 'self'; connect-src 'self'; base-uri 'none'; "
                             "form-action 'none'; frame-ancestors 'none'; "
                             "require-trusted-types-for 'script'; trusted-types 'none'";

bool page_is_built(void)
{
    return page_files[0].path != NULL;
}

static const struct page_file *find_file(struct slice path)
{
    for (const struct page_file *file = page_files; file->path; file++) {
        if (slice_equal_text(path, file->path))
            return file;
    }
    return NULL;
}

/* The first segment of the views' addresses, as web/src/main.tsx has them. */
static bool is_view(struct slice path)
{
    static const char *const views[] = {"groups", "letters", "redrives", "keys", "audit", "config"};
    struct slice first;
    if (!request_next_segment(&path, &first))
        return false;
    for (size_t i = 0; i < sizeof(views) / sizeof(*views); i++) {
        if (slice_equal_text(first, views[i]))
            return true;
    }
    return false;
}

bool page_has(struct slice path)
{
    return page_is_built() && (find_file(path) || is_view(path));
}

/* A list such as "gzip, deflate;q=0.5"; what is said of it by q=0 is not looked for. */
static bool takes_gzip(const struct console_request *req)
{
    struct slice list = request_header(req, "Accept-Encoding");
    return list.len >= 4 && memmem(list.data, list.len, "gzip", 4) != NULL;
}

void page_serve(struct call *call)
{
    const struct console_request *req = call_request(call);
    const struct page_file *file = find_file(req->path);
    bool is_index = !file || file == page_files;
    if (!file)
        file = page_files;
    if (file->gzip && !takes_gzip(req)) {
        reply_problem(call, 406, "the files of the page are sent gzipped: curl --compressed");
        return;
    }
    call_header(call, "ETag", file->tag);
    call_header(call, "Cache-Control",
                is_index ? "no-cache" : "public, max-age=31536000, immutable");
    call_header(call, "Content-Security-Policy", policy);
    call_header(call, "Vary", "Accept-Encoding");
    if (request_list_has(request_header(req, "If-None-Match"), file->tag)) {
        call_reply(call, 304, NULL, SLICE_NULL);
        return;
    }
    if (file->gzip)
        call_header(call, "Content-Encoding", "gzip");
    call_reply(call, 200, file->type, (struct slice){(const char *)file->data, file->size});
}
