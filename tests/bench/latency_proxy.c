/* latency_proxy.c - hand connections on with every byte delayed, as a far network would.
 *
 *   latency_proxy PORT MILLISECONDS
 *
 * Connects each connection it accepts to 127.0.0.1:PORT, and delays what comes from either side, the first byte as any other. Prints the port it listens
 * on. What is under way in a direction is bounded, at 64 MiB: more than what a good line of that length holds, so that it is the latency that is measured and
 * not a window. Two threads for each direction.
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE (64 << 10)
#define PIECES 1024

struct piece {
  struct timespec due;
  ssize_t n; /* 0: the end */
  char *data;
};

struct way {
  int from, to;
  pthread_mutex_t lock;
  pthread_cond_t moved;
  struct piece v[PIECES];
  size_t head, n;
};

struct pair {
  int a, b;
};

static int port, delay;

static struct piece *slot(struct way *w, int filled) {
  pthread_mutex_lock(&w->lock);
  while (w->n == (filled ? 0 : PIECES)) pthread_cond_wait(&w->moved, &w->lock);
  struct piece *p = &w->v[(w->head + (filled ? 0 : w->n)) % PIECES];
  pthread_mutex_unlock(&w->lock);
  return p;
}

static void moved(struct way *w, int filled) {
  pthread_mutex_lock(&w->lock);
  if (filled) w->n++;
  else w->head = (w->head + 1) % PIECES, w->n--;
  pthread_cond_signal(&w->moved);
  pthread_mutex_unlock(&w->lock);
}

static void *take(void *arg) {
  struct way *w = arg;
  ssize_t n;
  do {
    struct piece *p = slot(w, 0);
    p->data = malloc(PIECE);
    n = p->data ? recv(w->from, p->data, PIECE, 0) : 0;
    p->n = n > 0 ? n : 0;
    clock_gettime(CLOCK_MONOTONIC, &p->due);
    p->due.tv_nsec += delay % 1000 * 1000000L;
    p->due.tv_sec += delay / 1000 + p->due.tv_nsec / 1000000000L;
    p->due.tv_nsec %= 1000000000L;
    moved(w, 1);
  } while (n > 0);
  return NULL;
}

static void *give(void *arg) {
  struct way *w = arg;
  int broken = 0;
  for (;;) {
    struct piece *p = slot(w, 1);
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &p->due, NULL);
    ssize_t n = p->n;
    for (ssize_t at = 0, k; at < n && !broken; at += k) {
      k = send(w->to, p->data + at, (size_t)(n - at), MSG_NOSIGNAL);
      broken = k <= 0;
    }
    free(p->data);
    if (n == 0) break;
    moved(w, 0);
  }
  shutdown(w->to, SHUT_WR);
  return NULL;
}

static void *serve(void *arg) {
  struct pair *c = arg;
  struct way *ways[2];
  pthread_t threads[4];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1;
  c->b = socket(AF_INET, SOCK_STREAM, 0);
  if (c->b >= 0 && connect(c->b, (struct sockaddr *)&to, sizeof to) == 0) {
    setsockopt(c->a, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->b, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (int i = 0; i < 2; i++) {
      ways[i] = calloc(1, sizeof **ways);
      if (!ways[i]) abort();
      ways[i]->from = i ? c->b : c->a;
      ways[i]->to = i ? c->a : c->b;
      pthread_mutex_init(&ways[i]->lock, NULL);
      pthread_cond_init(&ways[i]->moved, NULL);
      pthread_create(&threads[2 * i], NULL, take, ways[i]);
      pthread_create(&threads[2 * i + 1], NULL, give, ways[i]);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    free(ways[0]);
    free(ways[1]);
  }
  close(c->a);
  if (c->b >= 0) close(c->b);
  free(c);
  return NULL;
}

int main(int argc, char **argv) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof here;
  if (argc != 3) return 2;
  port = atoi(argv[1]);
  delay = atoi(argv[2]);
  signal(SIGPIPE, SIG_IGN);
  int l = socket(AF_INET, SOCK_STREAM, 0);
  if (l < 0 || bind(l, (struct sockaddr *)&here, n) != 0 || listen(l, 64) != 0 || getsockname(l, (struct sockaddr *)&here, &n) != 0) return 1;
  printf("%d\n", ntohs(here.sin_port));
  fflush(stdout);
  for (;;) {
    struct pair *c = calloc(1, sizeof *c);
    pthread_t thread;
    if (!c || (c->a = accept(l, NULL, NULL)) < 0) return 1;
    if (pthread_create(&thread, NULL, serve, c) != 0) return 1;
    pthread_detach(thread);
  }
}
