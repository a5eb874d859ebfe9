/* Load client of bench_tiers.py: one thread, epoll, many real WebSocket connections that ask questions.
 *
 *   wsask --port P --path PATH --clients N --questions FILE --rate R --warm S --seconds S [--drain S] [--seed X]
 *
 * FILE holds a question a line: `TIER<tab>SHARE<tab>DEADLINE_MS<tab>JSON`, where JSON is a whole message with
 * `"id":"00000000"` in it. Open loop: moments are Poisson at R a second whatever the server does, each goes to a random
 * connection, and latency counts from the moment a question was meant to be sent to the moment its answer is read here.
 * A connection whose socket takes no more holds its question back, which is late then. One line of JSON on stdout.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
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

enum { TIERS = 8, CODES = 16, NAME = 32, READ_BYTES = 1 << 20, EVENTS = 1024, ID_DIGITS = 8 };
enum { ASKED, FULL, DEGRADED, REFUSED };

typedef struct {
    uint8_t *frame; /* with its header and a mask of zeros */
    size_t size, id_at;
    int tier;
} Question;

typedef struct {
    int fd;
    uint8_t *in, *out; /* an unfinished frame read, and what the socket did not take yet */
    size_t in_held, in_room, out_held, out_room;
} Client;

typedef struct {
    char name[NAME];
    double share, deadline_ms;
    int first, count; /* of its questions */
    uint64_t asked, in_full, degraded, late, unanswered, refused, refused_late, held_back;
    char codes[CODES][NAME];
    uint64_t code_counts[CODES];
    float *answered_ms, *refused_ms;
    size_t answers, refusals;
} Tier;

typedef struct {
    double due;
    uint8_t tier, state, counted;
} Asked;

static Question *questions;
static int questions_n, tiers_n, clients_n, ep;
static Tier tiers[TIERS];
static Client *clients;
static Asked *asked;
static uint64_t asked_n, unknown, hung_up;
static uint8_t buffer[READ_BYTES];
static uint64_t state = 88172645463325252ull;

static void die(const char *what) {
    fprintf(stderr, "wsask: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double uniform(void) { /* (0, 1), xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return ((double)((state * 2685821657736338717ull) >> 11) + 0.5) / 9007199254740992.0;
}

static void *room_for(void *data, size_t *room, size_t wanted) {
    if (wanted <= *room) return data;
    *room = wanted * 2;
    data = realloc(data, *room);
    if (!data) die("memory");
    return data;
}

static void read_questions(const char *file) {
    FILE *in = fopen(file, "r");
    char *line = NULL;
    size_t room = 0;
    if (!in) die(file);
    while (getline(&line, &room, in) > 0) {
        char *name = strtok(line, "\t"), *share = strtok(NULL, "\t"), *deadline = strtok(NULL, "\t");
        char *text = strtok(NULL, "\n");
        if (!text) continue;
        if (!tiers_n || strcmp(tiers[tiers_n - 1].name, name)) { /* lines of a tier stand together */
            Tier *new = &tiers[tiers_n++];
            snprintf(new->name, NAME, "%s", name);
            new->share = atof(share);
            new->deadline_ms = atof(deadline);
            new->first = questions_n;
        }
        questions = realloc(questions, sizeof *questions * (size_t)(questions_n + 1));
        Question *q = &questions[questions_n++];
        size_t n = strlen(text), head = n < 126 ? 6 : 8;
        q->tier = tiers_n - 1;
        tiers[q->tier].count++;
        q->size = head + n;
        q->frame = calloc(1, q->size);
        q->frame[0] = 0x81;
        q->frame[1] = 0x80 | (n < 126 ? (uint8_t)n : 126);
        if (n >= 126) {
            q->frame[2] = (uint8_t)(n >> 8);
            q->frame[3] = (uint8_t)n;
        }
        memcpy(q->frame + head, text, n);
        char *id = strstr(text, "\"id\":\"");
        if (!id || n > 65535) die("a question without an id, or too long");
        q->id_at = head + (size_t)(id - text) + 6;
    }
    free(line);
    fclose(in);
}

static void connect_one(Client *c, int index, int port, const char *path) {
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    char text[4096];
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % 8));
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || bind(c->fd, (void *)&from, sizeof from) || connect(c->fd, (void *)&to, sizeof to)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path);
    if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n) die("handshake");
    size_t held = 0;
    char *end = NULL;
    while (!end) {
        ssize_t got = recv(c->fd, text + held, sizeof text - 1 - held, 0);
        if (got <= 0) die("handshake");
        text[held += (size_t)got] = 0;
        end = strstr(text, "\r\n\r\n");
    }
    if (strncmp(text, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "wsask: refused: %s\n", text);
        exit(1);
    }
    c->in_held = held - (size_t)(end + 4 - text); /* its welcome may be there already */
    c->in = room_for(NULL, &c->in_room, c->in_held + 1024);
    memcpy(c->in, end + 4, c->in_held);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &wanted)) die("epoll_ctl");
}

static void gone(Client *c) {
    close(c->fd);
    c->fd = -1;
    hung_up++;
}

static void push(Client *c, const uint8_t *data, size_t n) {
    ssize_t sent = 0;
    if (c->fd < 0) return;
    if (!c->out_held) {
        sent = send(c->fd, data, n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            gone(c);
            return;
        }
        if (sent < 0) sent = 0;
        if ((size_t)sent == n) return;
        struct epoll_event wanted = {.events = EPOLLIN | EPOLLOUT, .data.u32 = (uint32_t)(c - clients)};
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &wanted);
    }
    c->out = room_for(c->out, &c->out_room, c->out_held + n);
    memcpy(c->out + c->out_held, data + sent, n - (size_t)sent);
    c->out_held += n - (size_t)sent;
}

static void flush(Client *c) {
    ssize_t sent = send(c->fd, c->out, c->out_held, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) gone(c);
        return;
    }
    c->out_held -= (size_t)sent;
    memmove(c->out, c->out + sent, c->out_held);
    if (!c->out_held) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = (uint32_t)(c - clients)};
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &wanted);
    }
}

static void send_question(double due, int counted) {
    double draw = uniform();
    int tier = 0;
    while (tier < tiers_n - 1 && draw > tiers[tier].share) draw -= tiers[tier++].share;
    Tier *t = &tiers[tier];
    Question *q = &questions[t->first + (int)(uniform() * t->count)];
    Client *c = &clients[(int)(uniform() * clients_n)];
    asked[asked_n] = (Asked){due, (uint8_t)tier, ASKED, (uint8_t)counted};
    uint64_t id = asked_n++;
    for (int i = ID_DIGITS - 1; i >= 0; i--, id /= 10) q->frame[q->id_at + (size_t)i] = (uint8_t)('0' + id % 10);
    if (counted) t->asked++, t->held_back += c->out_held > 0;
    push(c, q->frame, q->size);
}

static void count_code(Tier *t, const char *text, size_t n) {
    const char *code = memmem(text, n, "\"code\":\"", 8);
    size_t length = code ? strcspn(code + 8, "\"") : 0;
    if (!code || length >= NAME) return;
    for (int i = 0; i < CODES; i++) {
        if (!t->codes[i][0]) memcpy(t->codes[i], code + 8, length);
        if (strlen(t->codes[i]) == length && !memcmp(t->codes[i], code + 8, length)) {
            t->code_counts[i]++;
            return;
        }
    }
}

static void on_text(const char *text, size_t n, double at) {
    int answer = n > 13 && !memcmp(text, "{\"op\":\"answer\"", 14);
    if (!answer && !(n > 12 && !memcmp(text, "{\"op\":\"error\"", 13))) return;
    const char *id = memmem(text, n, "\"id\":\"", 6);
    uint64_t number = id ? strtoull(id + 6, NULL, 10) : UINT64_MAX;
    if (number >= asked_n || asked[number].state != ASKED) {
        unknown++;
        return;
    }
    Asked *a = &asked[number];
    Tier *t = &tiers[a->tier];
    double took_ms = (at - a->due) * 1000;
    a->state = REFUSED;
    if (answer) a->state = memmem(text, n > 300 ? 300 : n, "\"degraded\":true", 15) ? DEGRADED : FULL;
    if (!a->counted) return;
    if (!answer) {
        t->refused++;
        t->refused_late += took_ms > t->deadline_ms;
        t->refused_ms[t->refusals++] = (float)took_ms;
        count_code(t, text, n);
        return;
    }
    t->answered_ms[t->answers++] = (float)took_ms;
    if (took_ms > t->deadline_ms)
        t->late++;
    else if (a->state == FULL)
        t->in_full++;
    else
        t->degraded++;
}

static void on_readable(Client *c, double at) {
    ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
    if (got <= 0) {
        if (got < 0 && errno == EAGAIN) return;
        gone(c);
        return;
    }
    const uint8_t *data = buffer;
    size_t n = (size_t)got, used = 0;
    if (c->in_held) {
        c->in = room_for(c->in, &c->in_room, c->in_held + n);
        memcpy(c->in + c->in_held, buffer, n);
        data = c->in;
        n += c->in_held;
    }
    while (n - used >= 2) {
        const uint8_t *frame = data + used;
        size_t left = n - used, head = 2, length = frame[1] & 127;
        if (length == 126) {
            if (left < 4) break;
            length = (size_t)frame[2] << 8 | frame[3];
            head = 4;
        } else if (length == 127) {
            if (left < 10) break;
            length = (size_t)frame[6] << 24 | (size_t)frame[7] << 16 | (size_t)frame[8] << 8 | frame[9];
            head = 10;
        }
        if (left < head + length) break;
        if ((frame[0] & 15) == 1) on_text((const char *)frame + head, length, at);
        if ((frame[0] & 15) == 9) push(c, (const uint8_t *)"\x8a\x80\0\0\0\0", 6);
        if ((frame[0] & 15) == 8) {
            gone(c);
            return;
        }
        used += head + length;
    }
    c->in_held = n - used;
    c->in = room_for(c->in, &c->in_room, c->in_held);
    if (c->in_held) memmove(c->in, data + used, c->in_held);
}

/* Reads what there is, waiting until `until` at most for the first. */
static void serve(double until) {
    static struct epoll_event events[EVENTS];
    double left = until - now();
    struct pollfd waits = {ep, POLLIN, 0};
    struct timespec wait = {0, left > 0 ? (long)(fmin(left, 0.5) * 1e9) : 0};
    if (left > 0 && ppoll(&waits, 1, &wait, NULL) <= 0) return;
    int count = epoll_wait(ep, events, EVENTS, 0);
    double at = now();
    for (int i = 0; i < count; i++) {
        Client *c = &clients[events[i].data.u32];
        if (c->fd >= 0 && events[i].events & EPOLLOUT) flush(c);
        if (c->fd >= 0 && events[i].events & ~(uint32_t)EPOLLOUT) on_readable(c, at);
    }
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, float *ms, size_t n) {
    static const double qs[] = {0.5, 0.99, 0.999, 1.0};
    static const char *names[] = {"p50", "p99", "p999", "max"};
    qsort(ms, n, sizeof *ms, by_size);
    for (int i = 0; i < 4; i++) {
        size_t at = (size_t)ceil(qs[i] * (double)n);
        if (n) printf(",\"%s%s_ms\":%.3f", name, names[i], (double)ms[at ? at - 1 : 0]);
        else printf(",\"%s%s_ms\":null", name, names[i]);
    }
}

static void print_report(double behind_ms, float *lags, size_t lags_n, double cpu_s, double took_s) {
    printf("{\"tiers\":{");
    for (int i = 0; i < tiers_n; i++) {
        Tier *t = &tiers[i];
        printf("%s\"%s\":{\"asked\":%lu,\"in_full_in_time\":%lu,\"degraded_in_time\":%lu,\"late\":%lu,"
               "\"unanswered\":%lu,\"held_back\":%lu,\"refused_after_deadline\":%lu,\"refused\":{",
               i ? "," : "", t->name, t->asked, t->in_full, t->degraded, t->late, t->unanswered, t->held_back,
               t->refused_late);
        for (int k = 0; k < CODES && t->codes[k][0]; k++)
            printf("%s\"%s\":%lu", k ? "," : "", t->codes[k], t->code_counts[k]);
        printf("}");
        print_times("", t->answered_ms, t->answers);
        print_times("refused_", t->refused_ms, t->refusals);
        printf("}");
    }
    printf("},\"generator\":{\"behind_at_end_ms\":%.3f,\"cores\":%.3f,\"unknown\":%lu,\"hung_up\":%lu", behind_ms,
           cpu_s / took_s, unknown, hung_up);
    print_times("sent_late_", lags, lags_n);
    printf("}}\n");
}

static double cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

int main(int argc, char **argv) {
    const char *path = "/", *file = NULL;
    int port = 0;
    double rate = 1000, warm_s = 2, seconds = 10, drain_s = 2;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--clients")) clients_n = atoi(value);
        else if (!strcmp(name, "--questions")) file = value;
        else if (!strcmp(name, "--rate")) rate = atof(value);
        else if (!strcmp(name, "--warm")) warm_s = atof(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else if (!strcmp(name, "--drain")) drain_s = atof(value);
        else if (!strcmp(name, "--seed")) state += strtoull(value, NULL, 10);
        else errno = EINVAL, die(name);
    }
    if (!file || clients_n < 1) errno = EINVAL, die("--questions and --clients are needed");
    read_questions(file);
    struct rlimit files = {0, 0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    ep = epoll_create1(0);
    clients = calloc((size_t)clients_n, sizeof *clients);
    for (int i = 0; i < clients_n; i++) connect_one(&clients[i], i, port, path);
    size_t most = (size_t)(rate * (warm_s + seconds) * 1.1 + 1000), lags_n = 0;
    asked = malloc(most * sizeof *asked);
    float *lags = malloc(most * sizeof *lags);
    for (int i = 0; i < tiers_n; i++) {
        tiers[i].answered_ms = malloc(most * sizeof(float));
        tiers[i].refused_ms = malloc(most * sizeof(float));
    }
    double start = now() + 0.05, end = start + warm_s + seconds, due = start, cpu_0 = cpu();
    while (due < end && asked_n < most) {
        double at = now();
        for (int burst = 0; due <= at && due < end && asked_n < most && burst < 256; burst++) {
            if (due >= start + warm_s) lags[lags_n++] = (float)((at - due) * 1000);
            send_question(due, due >= start + warm_s);
            due += -log(uniform()) / rate;
        }
        serve(due < end ? due : end);
    }
    double behind_ms = (now() - fmin(due, end)) * 1000, took_s = now() - start, used = cpu() - cpu_0;
    for (double until = now() + drain_s; now() < until;) serve(until);
    for (uint64_t i = 0; i < asked_n; i++)
        if (asked[i].counted && asked[i].state == ASKED) tiers[asked[i].tier].unanswered++;
    print_report(behind_ms, lags, lags_n, used, took_s);
    return 0;
}
