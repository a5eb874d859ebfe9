/* Load client of the hub's benchmarks: one thread, epoll, many real WebSocket connections.
 *
 *   wsload --port P --path PATH --clients N [--topics FILE --per K] [--ack 0|1] [--stuck F] [--sources S]
 *          [--nap-us U] [--window W] [--seed X] [--base-ns B]
 *
 * FILE holds a bundle of topics a line (blank-separated); a client subscribes to K bundles. Commands come as lines on
 * stdin, each is answered by one line of JSON on stdout: connect, subscribers, reset, report, storm, quit.
 *
 * Latency is taken from the frame's `"at":` (UNIX ns; with --base-ns from `"seq":`, in 10 us after B) to the kernel's arrival time (SO_TIMESTAMPNS, of the last
 * segment read: never too early) and to the moment this program reads the frame, its nap included. Each delta's `prev`
 * must be the offset before; an offset not above the last one is a duplicate. Stuck clients subscribe and never read;
 * they have the segment size of a real network (TCP_MAXSEG), as loopback's would hide megabytes in kernel buffers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { IDLE, CONNECTING, HANDSHAKE, OPEN, CLOSED };
enum { READ_BYTES = 1 << 18, EVENTS = 4096, TEXT_BYTES = 64, BUCKETS = 32 * 48, CODES = 16 };

typedef struct {
    int topic;
    uint64_t ms, n; /* offset of the newest message, 0 before the first */
    char epoch[TEXT_BYTES];
} Sub;

typedef struct {
    int fd, state, stuck, acked;
    Sub *subs;
    int count;
    uint8_t *rest; /* bytes of an unfinished frame */
    size_t held, room;
} Client;

typedef struct {
    uint64_t counts[BUCKETS], total, max_ns;
    double sum_ms;
} Histogram;

static const char *path = "/";
static int port, clients_n, per, ack = 1, sources = 8, nap_us = 1000, window = 1000, topics_n, bundles_n;
static double stuck_part;
static uint64_t seed = 7, base_ns;
static char **topics;
static int (*bundles)[64];
static int *bundle_sizes, *table, *subscribers;
static unsigned table_mask;
static Client *clients;
static int ep, next_client, in_flight, connected, acked, failed, resuming, first_errno, stuck_n;
static uint64_t began_ns, open_ns, ready_ns;
static uint8_t buffer[READ_BYTES];
static Histogram kernel_side, app_side;
static uint64_t received, gaps, duplicates, snapshots, resumed, snapshot_instead, errors, closed_n, bytes, unanchored;
static int codes[CODES], code_counts[CODES];
static char first_error[256];
static const uint8_t MASK[4] = {0x5a, 0xc3, 0x17, 0x8e};

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "wsload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t mixed(uint64_t x) { /* splitmix64 */
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/* 32 buckets an octave of ~1 us units: values are known to 3 %. */
static int bucket_of(uint64_t ns) {
    uint64_t v = ns >> 10;
    if (v < 64) return (int)v;
    int shift = 58 - __builtin_clzll(v);
    int at = shift * 32 + (int)(v >> shift);
    return at < BUCKETS ? at : BUCKETS - 1;
}

static double upper_ms(int bucket) {
    if (bucket < 64) return (double)(bucket + 1) * 1024e-6;
    int shift = bucket / 32 - 1;
    return (double)((uint64_t)(bucket - shift * 32 + 1) << shift) * 1024e-6;
}

static void record(Histogram *h, int64_t ns) {
    uint64_t v = ns > 0 ? (uint64_t)ns : 0;
    h->counts[bucket_of(v)]++;
    h->total++;
    h->sum_ms += (double)v * 1e-6;
    if (v > h->max_ns) h->max_ns = v;
}

static double quantile(const Histogram *h, double q) {
    uint64_t want = (uint64_t)(q * (double)h->total + 0.9999999), seen = 0;
    double top = (double)h->max_ns * 1e-6;
    for (int i = 0; i < BUCKETS; i++) {
        seen += h->counts[i];
        if (seen >= want && seen) return upper_ms(i) < top ? upper_ms(i) : top;
    }
    return top;
}

static void print_histogram(const char *name, const Histogram *h) {
    static const double edges[] = {0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 50, 100, 200, 500, 1000};
    enum { N = sizeof edges / sizeof *edges };
    uint64_t parts[N + 1] = {0};
    for (int i = 0; i < BUCKETS; i++) {
        int at = 0;
        while (at < N && upper_ms(i) > edges[at] * 1.0001) at++;
        parts[at] += h->counts[i];
    }
    printf("\"%s\":{\"n\":%llu,\"mean_ms\":%.4f", name, (unsigned long long)h->total,
           h->total ? h->sum_ms / (double)h->total : 0.0);
    static const double qs[] = {0.5, 0.75, 0.9, 0.95, 0.99, 0.999};
    static const char *names[] = {"p50", "p75", "p90", "p95", "p99", "p999"};
    for (int i = 0; i < 6; i++) printf(",\"%s_ms\":%.4f", names[i], quantile(h, qs[i]));
    printf(",\"max_ms\":%.4f,\"edges_ms\":[", (double)h->max_ns * 1e-6);
    for (int i = 0; i < N; i++) printf("%s%g", i ? "," : "", edges[i]);
    printf("],\"counts\":[");
    for (int i = 0; i <= N; i++) printf("%s%llu", i ? "," : "", (unsigned long long)parts[i]);
    printf("]}");
}

static unsigned text_hash(const char *text, size_t n) {
    unsigned h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ (uint8_t)text[i]) * 16777619u;
    return h;
}

static int topic_of(const char *text, size_t n) {
    if (!topics_n) return -1;
    for (unsigned at = text_hash(text, n) & table_mask;; at = (at + 1) & table_mask) {
        int topic = table[at];
        if (topic < 0) return -1;
        if (!strncmp(topics[topic], text, n) && !topics[topic][n]) return topic;
    }
}

static int topic_added(const char *text) {
    int known = topic_of(text, strlen(text));
    if (known >= 0) return known;
    topics = realloc(topics, sizeof *topics * (size_t)(topics_n + 1));
    topics[topics_n] = strdup(text);
    unsigned at = text_hash(text, strlen(text)) & table_mask;
    while (table[at] >= 0) at = (at + 1) & table_mask;
    table[at] = topics_n;
    return topics_n++;
}

static void read_topics(const char *file) {
    table_mask = (1u << 16) - 1;
    table = malloc(sizeof *table * (table_mask + 1));
    memset(table, 0xff, sizeof *table * (table_mask + 1));
    FILE *in = fopen(file, "r");
    if (!in) die(file);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, in) > 0) {
        bundles = realloc(bundles, sizeof *bundles * (size_t)(bundles_n + 1));
        bundle_sizes = realloc(bundle_sizes, sizeof *bundle_sizes * (size_t)(bundles_n + 1));
        int count = 0;
        for (char *word = strtok(line, " \t\r\n"); word && count < 64; word = strtok(NULL, " \t\r\n"))
            bundles[bundles_n][count++] = topic_added(word);
        if (count) bundle_sizes[bundles_n++] = count;
    }
    free(line);
    fclose(in);
    if (per > bundles_n) per = bundles_n;
    subscribers = calloc((size_t)topics_n, sizeof *subscribers);
}

static void choose_topics(int index) {
    Client *c = &clients[index];
    int *picked = malloc(sizeof *picked * (size_t)per);
    uint64_t draw = mixed(seed * 1000003u + (uint64_t)index);
    for (int i = 0; i < per; i++) {
        int again = 1;
        while (again) {
            draw = mixed(draw);
            picked[i] = (int)(draw % (uint64_t)bundles_n);
            again = 0;
            for (int j = 0; j < i; j++) again |= picked[j] == picked[i];
        }
        for (int t = 0; t < bundle_sizes[picked[i]]; t++) {
            int topic = bundles[picked[i]][t], known = 0;
            for (int j = 0; j < c->count; j++) known |= c->subs[j].topic == topic;
            if (known) continue;
            c->subs = realloc(c->subs, sizeof *c->subs * (size_t)(c->count + 1));
            memset(&c->subs[c->count], 0, sizeof *c->subs);
            c->subs[c->count++].topic = topic;
            if (!c->stuck) subscribers[topic]++;
        }
    }
    free(picked);
}

static void finished(Client *c, int code) {
    if (c->fd >= 0) {
        struct linger gone = {1, 0}; /* RST: no port is left in TIME_WAIT */
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &gone, sizeof gone);
        close(c->fd);
    }
    if (c->state == CONNECTING || c->state == HANDSHAKE) in_flight--;
    if (c->state != OPEN && !first_errno) first_errno = errno;
    if (c->state == OPEN) {
        connected--;
        closed_n++;
        for (int i = 0; i < CODES; i++)
            if (codes[i] == code || !code_counts[i]) {
                codes[i] = code;
                code_counts[i]++;
                break;
            }
        if (c->acked) acked--;
    } else {
        failed++;
    }
    c->fd = -1;
    c->state = CLOSED;
    c->acked = 0;
    c->held = 0;
}

static void send_frame(Client *c, int opcode, const char *text, size_t n) {
    static uint8_t out[1 << 16];
    size_t head = 2;
    if (n + 14 > sizeof out) die("frame too long");
    out[0] = (uint8_t)(0x80 | opcode);
    if (n < 126) {
        out[1] = (uint8_t)(0x80 | n);
    } else {
        out[1] = 0x80 | 126;
        out[2] = (uint8_t)(n >> 8);
        out[3] = (uint8_t)n;
        head = 4;
    }
    memcpy(out + head, MASK, 4);
    for (size_t i = 0; i < n; i++) out[head + 4 + i] = (uint8_t)text[i] ^ MASK[i & 3];
    if (send(c->fd, out, head + 4 + n, MSG_NOSIGNAL) != (ssize_t)(head + 4 + n)) errors++;
}

static void subscribe(Client *c) {
    static char text[1 << 15];
    size_t n = (size_t)sprintf(text, "{\"op\":\"subscribe\",\"id\":1,\"topics\":[");
    for (int i = 0; i < c->count; i++)
        n += (size_t)sprintf(text + n, "%s\"%s\"", i ? "," : "", topics[c->subs[i].topic]);
    n += (size_t)sprintf(text + n, "]");
    if (resuming) {
        n += (size_t)sprintf(text + n, ",\"since\":{");
        int said = 0;
        for (int i = 0; i < c->count; i++) {
            Sub *s = &c->subs[i];
            if (!s->ms) continue;
            n += (size_t)sprintf(text + n, "%s\"%s\":{\"epoch\":\"%s\",\"offset\":\"%llu-%llu\"}", said++ ? "," : "",
                                 topics[s->topic], s->epoch, (unsigned long long)s->ms, (unsigned long long)s->n);
        }
        n += (size_t)sprintf(text + n, "}");
    }
    n += (size_t)sprintf(text + n, "}");
    send_frame(c, 1, text, n);
}

/* A key's value; header keys stand before `data`, so the first match is the frame's own. */
static const char *value_of(const char *text, size_t n, const char *key, size_t key_n) {
    const char *found = memmem(text, n, key, key_n);
    return found ? found + key_n : NULL;
}
#define VALUE(key) value_of(text, n, key, sizeof key - 1)

static size_t until_quote(const char *text, const char *end) {
    const char *quote = memchr(text, '"', (size_t)(end - text));
    return quote ? (size_t)(quote - text) : 0;
}

static void offset_of(const char *text, uint64_t *ms, uint64_t *n) {
    char *dash;
    *ms = strtoull(text, &dash, 10);
    *n = *dash == '-' ? strtoull(dash + 1, NULL, 10) : 0;
}

static int count_words(const char *text, size_t n, const char *word) {
    int count = 0;
    size_t length = strlen(word);
    for (const char *at = text; (at = memmem(at, n - (size_t)(at - text), word, length)); at += length) count++;
    return count;
}

static Sub *subscription(Client *c, const char *text, size_t n) {
    const char *name = VALUE("\"topic\":\"");
    if (!name) return NULL;
    int topic = topic_of(name, until_quote(name, text + n));
    for (int i = 0; i < c->count; i++)
        if (c->subs[i].topic == topic) return &c->subs[i];
    return NULL;
}

static void on_position(Client *c, const char *text, size_t n, int snapshot) {
    Sub *s = subscription(c, text, n);
    const char *offset = VALUE("\"offset\":\""), *epoch = VALUE("\"epoch\":\""), *prev = VALUE("\"prev\":\"");
    if (!s || !offset) return;
    uint64_t ms, number, prev_ms = 0, prev_n = 0;
    offset_of(offset, &ms, &number);
    if (prev) offset_of(prev, &prev_ms, &prev_n);
    if (!snapshot && s->ms) {
        if (ms < s->ms || (ms == s->ms && number <= s->n))
            duplicates++;
        else if (prev_ms != s->ms || prev_n != s->n)
            gaps++;
    } else if (!snapshot) {
        unanchored++;
    }
    s->ms = ms;
    s->n = number;
    size_t length = epoch ? until_quote(epoch, text + n) : 0;
    if (length && length < TEXT_BYTES) {
        memcpy(s->epoch, epoch, length);
        s->epoch[length] = 0;
    }
}

static void on_text(Client *c, const char *text, size_t n, uint64_t kernel_ns, uint64_t read_ns) {
    const char *op = VALUE("\"op\":\"");
    if (!op) return;
    if (!strncmp(op, "delta", 5)) {
        const char *at = base_ns ? VALUE("\"seq\":") : VALUE("\"at\":");
        received++;
        if (at) {
            uint64_t told = strtoull(at, NULL, 10);
            int64_t created = (int64_t)(base_ns ? base_ns + told * 10000 : told);
            record(&kernel_side, (int64_t)kernel_ns - created);
            record(&app_side, (int64_t)read_ns - created);
        }
        on_position(c, text, n, 0);
    } else if (!strncmp(op, "snapshot", 8)) {
        snapshots++;
        on_position(c, text, n, 1);
    } else if (!strncmp(op, "subscribed", 10)) {
        resumed += (uint64_t)count_words(text, n, ":\"resumed\"");
        snapshot_instead += (uint64_t)count_words(text, n, ":\"snapshot\"");
        if (!c->acked) {
            c->acked = 1;
            acked++;
            ready_ns = now_ns();
        }
    } else if (!strncmp(op, "error", 5)) {
        errors++;
        if (!*first_error) {
            size_t kept = 0; /* it goes into JSON: no quotes */
            for (size_t i = 0; i < n && kept < sizeof first_error - 1; i++)
                if (text[i] != '"' && text[i] != '\\' && text[i] >= ' ') first_error[kept++] = text[i];
        }
    }
}

/* Reads whole frames; returns the bytes used, or -1 when the connection ended. */
static ssize_t on_bytes(Client *c, const uint8_t *data, size_t n, uint64_t kernel_ns, uint64_t read_ns) {
    size_t at = 0;
    while (n - at >= 2) {
        size_t head = 2;
        uint64_t length = data[at + 1] & 127;
        if (length == 126) {
            if (n - at < 4) break;
            length = (uint64_t)data[at + 2] << 8 | data[at + 3];
            head = 4;
        } else if (length == 127) {
            if (n - at < 10) break;
            length = 0;
            for (int i = 0; i < 8; i++) length = length << 8 | data[at + 2 + (size_t)i];
            head = 10;
        }
        if (n - at - head < length) break;
        const char *text = (const char *)data + at + head;
        int opcode = data[at] & 15;
        if (opcode == 1 || opcode == 2) on_text(c, text, (size_t)length, kernel_ns, read_ns);
        if (opcode == 9) send_frame(c, 10, text, (size_t)length);
        if (opcode == 8) {
            finished(c, length >= 2 ? (uint8_t)text[0] << 8 | (uint8_t)text[1] : 1005);
            return -1;
        }
        at += head + (size_t)length;
    }
    return (ssize_t)at;
}

static void keep_rest(Client *c, const uint8_t *data, size_t n) {
    if (n > c->room) {
        c->rest = realloc(c->rest, n);
        c->room = n;
    }
    if (n) memmove(c->rest, data, n);
    c->held = n;
}

static void opened(Client *c) {
    c->state = OPEN;
    in_flight--;
    connected++;
    open_ns = now_ns();
    if (c->count) subscribe(c);
    if (c->stuck) epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
}

static void on_readable(Client *c) {
    char control[128];
    size_t held = c->held;
    if (held > READ_BYTES / 2) die("a frame longer than this client reads");
    if (held) memcpy(buffer, c->rest, held);
    struct iovec into = {buffer + held, READ_BYTES - held};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(c->fd, &message, MSG_DONTWAIT);
    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        finished(c, n == 0 ? 1006 : 1);
        return;
    }
    bytes += (uint64_t)n;
    uint64_t read_ns = now_ns(), kernel_ns = read_ns;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(part), sizeof t);
            kernel_ns = (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
        }
    size_t have = held + (size_t)n, start = 0;
    if (c->state == HANDSHAKE) {
        uint8_t *end = memmem(buffer, have, "\r\n\r\n", 4);
        if (!end) {
            keep_rest(c, buffer, have);
            return;
        }
        if (have < 12 || memcmp(buffer + 9, "101", 3)) {
            if (!*first_error) snprintf(first_error, sizeof first_error, "handshake: %.*s", 24, (char *)buffer);
            for (char *at = first_error; *at; at++) if (*at < ' ' || *at == '"') *at = ' ';
            finished(c, 0);
            return;
        }
        start = (size_t)(end + 4 - buffer);
        opened(c);
        if (c->stuck) return;
    }
    ssize_t used = on_bytes(c, buffer + start, have - start, kernel_ns, read_ns);
    if (used >= 0) keep_rest(c, buffer + start + used, have - start - (size_t)used);
}

static void start_connect(int index) {
    Client *c = &clients[index];
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    from.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)(index % sources));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1, small = 4096, mss = 1400;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (c->stuck) {
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss);
    }
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind");
    c->state = CONNECTING;
    c->held = 0;
    in_flight++;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        finished(c, 0);
        return;
    }
    struct epoll_event want = {.events = EPOLLOUT, .data.u32 = (uint32_t)index};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &want)) die("epoll_ctl");
}

static void on_connected(Client *c, int index) {
    static char request[4096];
    int problem = 0;
    socklen_t size = sizeof problem;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem) {
        errno = problem;
        finished(c, 0);
        return;
    }
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path, port);
    if (send(c->fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
        finished(c, 0);
        return;
    }
    c->state = HANDSHAKE;
    struct epoll_event want = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &want);
}

static void begin(int again) {
    resuming = again;
    connected = acked = failed = next_client = in_flight = 0;
    resumed = snapshot_instead = 0;
    began_ns = open_ns = ready_ns = now_ns();
}

static int settled(void) {
    if (next_client < clients_n || in_flight) return 0;
    return !(ack && per) || acked + stuck_n >= connected;
}

static void say_connected(const char *event) {
    printf("{\"event\":\"%s\",\"connected\":%d,\"failed\":%d,\"errno\":\"%s\",\"open_s\":%.4f,\"ready_s\":%.4f,"
           "\"resumed\":%llu,\"snapshot_instead\":%llu,\"errors\":%llu,\"first_error\":\"%s\"}\n", event, connected,
           failed, failed && first_errno ? strerror(first_errno) : "", (double)(open_ns - began_ns) * 1e-9,
           (double)(ready_ns - began_ns) * 1e-9, (unsigned long long)resumed, (unsigned long long)snapshot_instead,
           (unsigned long long)errors, first_error);
    fflush(stdout);
}

static void report(void) {
    int stuck_closed = 0;
    for (int i = 0; i < clients_n; i++)
        if (clients[i].stuck && clients[i].fd >= 0) {
            struct pollfd look = {.fd = clients[i].fd, .events = POLLRDHUP};
            if (poll(&look, 1, 0) > 0 && look.revents & (POLLRDHUP | POLLHUP | POLLERR)) stuck_closed++;
        }
    printf("{\"event\":\"report\",\"connected\":%d,\"received\":%llu,\"bytes\":%llu,\"gaps\":%llu,\"duplicates\":%llu,"
           "\"unanchored\":%llu,\"snapshots\":%llu,\"errors\":%llu,\"first_error\":\"%s\",\"closed\":%llu,"
           "\"stuck\":%d,\"stuck_closed\":%d,\"close_codes\":{", connected, (unsigned long long)received,
           (unsigned long long)bytes, (unsigned long long)gaps, (unsigned long long)duplicates,
           (unsigned long long)unanchored, (unsigned long long)snapshots, (unsigned long long)errors, first_error,
           (unsigned long long)closed_n, stuck_n, stuck_closed);
    for (int i = 0; i < CODES && code_counts[i]; i++)
        printf("%s\"%d\":%d", i ? "," : "", codes[i], code_counts[i]);
    printf("},");
    print_histogram("kernel", &kernel_side);
    printf(",");
    print_histogram("app", &app_side);
    printf("}\n");
    fflush(stdout);
}

static void reset(void) {
    memset(&kernel_side, 0, sizeof kernel_side);
    memset(&app_side, 0, sizeof app_side);
    received = gaps = duplicates = snapshots = errors = closed_n = bytes = unanchored = 0;
    memset(code_counts, 0, sizeof code_counts);
    *first_error = 0;
    puts("{\"event\":\"reset\"}");
    fflush(stdout);
}

static void drop_all(void) {
    for (int i = 0; i < clients_n; i++) {
        Client *c = &clients[i];
        if (c->fd < 0) continue;
        struct linger gone = {1, 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &gone, sizeof gone);
        close(c->fd);
        c->fd = -1;
        c->state = IDLE;
        c->acked = 0;
        c->held = 0;
    }
}

static void say_subscribers(void) {
    printf("{\"event\":\"subscribers\",\"topics\":{");
    for (int i = 0; i < topics_n; i++) printf("%s\"%s\":%d", i ? "," : "", topics[i], subscribers[i]);
    printf("}}\n");
    fflush(stdout);
}

/* Returns the event to announce once all clients are connected; NULL for a command that is done. */
static const char *obey(const char *command) {
    if (!strcmp(command, "quit")) exit(0);
    if (!strcmp(command, "connect") || !strcmp(command, "storm")) {
        drop_all();
        begin(*command == 's');
        return *command == 's' ? "storm" : "connected";
    }
    if (!strcmp(command, "report")) report();
    else if (!strcmp(command, "reset")) reset();
    else if (!strcmp(command, "subscribers")) say_subscribers();
    else {
        puts("{\"event\":\"unknown command\"}");
        fflush(stdout);
    }
    return NULL;
}

static const char *on_commands(void) {
    static char line[256];
    static size_t held;
    const char *waiting = NULL;
    ssize_t n = read(0, line + held, sizeof line - 1 - held);
    if (n <= 0) exit(0);
    held += (size_t)n;
    line[held] = 0;
    for (char *end; (end = strchr(line, '\n'));) {
        *end = 0;
        const char *event = obey(line);
        if (event) waiting = event;
        held -= (size_t)(end + 1 - line);
        memmove(line, end + 1, held + 1);
    }
    return waiting;
}

static void options(int argc, char **argv) {
    const char *file = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--clients")) clients_n = atoi(value);
        else if (!strcmp(name, "--topics")) file = value;
        else if (!strcmp(name, "--per")) per = atoi(value);
        else if (!strcmp(name, "--ack")) ack = atoi(value);
        else if (!strcmp(name, "--stuck")) stuck_part = atof(value);
        else if (!strcmp(name, "--sources")) sources = atoi(value);
        else if (!strcmp(name, "--nap-us")) nap_us = atoi(value);
        else if (!strcmp(name, "--window")) window = atoi(value);
        else if (!strcmp(name, "--base-ns")) base_ns = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--seed")) seed = strtoull(value, NULL, 10);
        else {
            fprintf(stderr, "wsload: unknown option %s\n", name);
            exit(2);
        }
    }
    if (!file) per = 0;
    if (!port || clients_n < 1 || sources < 1) {
        fprintf(stderr, "wsload: --port and --clients are needed\n");
        exit(2);
    }
    if (file) read_topics(file);
}

int main(int argc, char **argv) {
    options(argc, argv);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if ((rlim_t)clients_n + 16 > files.rlim_max) {
        fprintf(stderr, "wsload: %d clients need more than the %llu files a process may open\n", clients_n,
                (unsigned long long)files.rlim_max);
        return 1;
    }
    ep = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc((size_t)clients_n, sizeof *clients);
    for (int i = 0; i < clients_n; i++) {
        clients[i].fd = -1;
        /* spread evenly over the clients */
        clients[i].stuck = (int)((i + 1) * stuck_part) > (int)(i * stuck_part);
        stuck_n += clients[i].stuck;
        if (per) choose_topics(i);
    }
    next_client = clients_n; /* nobody connects before the command */
    struct epoll_event want = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    epoll_ctl(ep, EPOLL_CTL_ADD, 0, &want);
    static struct epoll_event events[EVENTS];
    const char *waiting = NULL;
    for (;;) {
        while (next_client < clients_n && in_flight < window) start_connect(next_client++);
        int n = epoll_wait(ep, events, EVENTS, waiting ? 1 : 100);
        const char *command = NULL;
        for (int i = 0; i < n; i++) {
            if (events[i].data.u32 == UINT32_MAX) {
                command = on_commands();
                if (command) break; /* the other events may be of connections just closed */
                continue;
            }
            Client *c = &clients[events[i].data.u32];
            if (c->fd < 0) continue;
            if (c->state == CONNECTING) on_connected(c, (int)events[i].data.u32);
            else on_readable(c);
        }
        if (command) waiting = command;
        if (waiting && settled()) {
            say_connected(waiting);
            waiting = NULL;
        }
        if (!waiting && nap_us && n < EVENTS) {
            struct timespec nap = {nap_us / 1000000, nap_us % 1000000 * 1000};
            nanosleep(&nap, NULL);
        }
    }
}
