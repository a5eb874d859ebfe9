/* The floor of every WebSocket server: one thread, one send() a frame, and nothing else.
 *
 *   wsfloor PORT
 *
 * Says "ready" on stdout. A line on stdin, `TOPIC<tab>TEXT`, is sent as one text frame to every client that subscribed
 * to TOPIC (`*`: to all). A client's frame `{"op":"subscribe","topics":["a:1",…]}` subscribes it. What a client's
 * socket does not take at once is dropped and counted on stderr at the end: this is a measure, not a server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 65536, TOPICS = 4096, EVENTS = 1024, LINE = 1 << 17 };
typedef struct {
    char name[64];
    int *fds, count, room;
} Topic;

static Topic topics[TOPICS], everyone;
static int topics_n, ep;
static uint8_t open_fds[MOST];
static uint64_t dropped;

static void die(const char *what) {
    fprintf(stderr, "wsfloor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint32_t rotated(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1(const char *text, size_t n, uint8_t out[20]) {
    uint8_t block[192] = {0};
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t size = (n + 9 + 63) / 64 * 64;
    memcpy(block, text, n);
    block[n] = 0x80;
    for (int i = 0; i < 8; i++) block[size - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> (8 * i));
    for (size_t from = 0; from < size; from += 64) {
        uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 16; i++) {
            const uint8_t *p = block + from + 4 * i;
            w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        }
        for (int i = 16; i < 80; i++) w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f, k;
            if (i < 20) f = (b & c) | (~b & d), k = 0x5A827999;
            else if (i < 40) f = b ^ c ^ d, k = 0x6ED9EBA1;
            else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
            else f = b ^ c ^ d, k = 0xCA62C1D6;
            uint32_t next = rotated(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rotated(b, 30), b = a, a = next;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    for (int i = 0; i < 20; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t *in, size_t n, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0) | (i + 2 < n ? in[i + 2] : 0);
        out[at++] = digits[v >> 18];
        out[at++] = digits[v >> 12 & 63];
        out[at++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
        out[at++] = i + 2 < n ? digits[v & 63] : '=';
    }
    out[at] = 0;
}

static void joined(Topic *topic, int fd) {
    if (topic->count == topic->room) {
        topic->room = topic->room ? topic->room * 2 : 64;
        topic->fds = realloc(topic->fds, sizeof *topic->fds * (size_t)topic->room);
    }
    topic->fds[topic->count++] = fd;
}

static void left(Topic *topic, int fd) {
    for (int i = 0; i < topic->count; i++)
        if (topic->fds[i] == fd) {
            topic->fds[i] = topic->fds[--topic->count];
            return;
        }
}

static Topic *named(const char *name, size_t n, int make) {
    if (n == 1 && *name == '*') return &everyone;
    for (int i = 0; i < topics_n; i++)
        if (!strncmp(topics[i].name, name, n) && !topics[i].name[n]) return &topics[i];
    if (!make || topics_n == TOPICS || n >= sizeof topics->name) return NULL;
    memcpy(topics[topics_n].name, name, n);
    return &topics[topics_n++];
}

static void gone(int fd) {
    if (open_fds[fd] == 2) {
        left(&everyone, fd);
        for (int i = 0; i < topics_n; i++) left(&topics[i], fd);
    }
    open_fds[fd] = 0;
    close(fd);
}

static void handshake(int fd, char *request) {
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[128], key[64], reply[256];
    uint8_t digest[20];
    char *found = strcasestr(request, "sec-websocket-key:");
    if (!found || sscanf(found + 18, " %40s", key) != 1) {
        gone(fd);
        return;
    }
    snprintf(text, sizeof text, "%s%s", key, magic);
    sha1(text, strlen(text), digest);
    base64(digest, 20, key);
    int n = snprintf(reply, sizeof reply, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", key);
    if (send(fd, reply, (size_t)n, MSG_NOSIGNAL) != n) {
        gone(fd);
        return;
    }
    open_fds[fd] = 2;
    joined(&everyone, fd);
}

static void subscribed(int fd, char *text, size_t n) {
    char *at = memmem(text, n, "\"topics\":[", 10), *end = text + n;
    for (at = at ? at + 10 : end; at < end && *at == '"';) {
        char *close_quote = memchr(at + 1, '"', (size_t)(end - at - 1));
        if (!close_quote) return;
        Topic *topic = named(at + 1, (size_t)(close_quote - at - 1), 1);
        if (topic) joined(topic, fd);
        at = close_quote + 1;
        if (at < end && *at == ',') at++;
    }
}

static void on_client(int fd) {
    static char data[1 << 16];
    ssize_t n = recv(fd, data, sizeof data - 1, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        gone(fd);
        return;
    }
    data[n] = 0;
    if (open_fds[fd] == 1) {
        handshake(fd, data);
        return;
    }
    uint8_t *frame = (uint8_t *)data;
    if ((frame[0] & 15) == 8) {
        gone(fd);
        return;
    }
    size_t head = (frame[1] & 127) == 126 ? 4 : 2, length = head == 4 ? (size_t)frame[2] << 8 | frame[3] : frame[1] & 127;
    if ((size_t)n < head + 4 + length) return; /* the load client sends its one frame in one piece */
    char *text = data + head + 4;
    for (size_t i = 0; i < length; i++) text[i] ^= (char)frame[head + (i & 3)];
    subscribed(fd, text, length);
}

static void publish(char *line, size_t n) {
    static uint8_t frame[LINE + 16];
    char *tab = memchr(line, '\t', n);
    Topic *topic = tab ? named(line, (size_t)(tab - line), 0) : NULL;
    if (!topic) return;
    size_t length = n - (size_t)(tab + 1 - line), head = 2;
    frame[0] = 0x81;
    if (length < 126) frame[1] = (uint8_t)length;
    else if (length < 65536) frame[1] = 126, frame[2] = (uint8_t)(length >> 8), frame[3] = (uint8_t)length, head = 4;
    else {
        frame[1] = 127, head = 10;
        for (int i = 0; i < 8; i++) frame[2 + i] = (uint8_t)((uint64_t)length >> (56 - 8 * i));
    }
    memcpy(frame + head, tab + 1, length);
    for (int i = 0; i < topic->count; i++)
        if (send(topic->fds[i], frame, head + length, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)(head + length)) dropped++;
}

static void on_lines(void) {
    static char held[LINE];
    static size_t n;
    ssize_t got = read(0, held + n, sizeof held - n);
    if (got <= 0) {
        fprintf(stderr, "{\"dropped\":%llu}\n", (unsigned long long)dropped);
        exit(0);
    }
    n += (size_t)got;
    size_t at = 0;
    for (char *end; (end = memchr(held + at, '\n', n - at)); at = (size_t)(end + 1 - held))
        publish(held + at, (size_t)(end - held) - at);
    memmove(held, held + at, n - at);
    n -= at;
    if (n == sizeof held) die("line too long");
}

static void on_new(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        if (fd < 0) return;
        if (fd >= MOST) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        open_fds[fd] = 1;
        struct epoll_event want = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &want);
    }
}

int main(int argc, char **argv) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (argc != 2) {
        fprintf(stderr, "usage: wsfloor PORT\n");
        return 2;
    }
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 4096)) die("listen");
    ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event want = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &want);
    want.data.fd = 0;
    epoll_ctl(ep, EPOLL_CTL_ADD, 0, &want);
    puts("ready");
    fflush(stdout);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) on_new(listener);
            else if (fd == 0) on_lines();
            else if (open_fds[fd]) on_client(fd);
        }
    }
}
