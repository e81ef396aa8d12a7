/*
 * Fails one system call of a process, for tests. Loaded before libc (LD_PRELOAD), it counts the calls of each kind and
 * makes the selected one fail.
 *
 *   FAULT_PAGE   a file for the counts, one 64-bit number for each kind and a last one for the faults
 *   FAULT_ROOT   counts only files in this directory and its subdirectories
 *   FAULT_KIND   the number of the failing kind; without it no call fails
 *   FAULT_AT     the call that fails, from 1
 *   FAULT_ERRNO  the error number
 *   FAULT_ON     later calls of the kind fail, too
 *   FAULT_SHORT  no call fails, but each read and write moves only one byte
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* In the order of KINDS in inject.rs. */
enum kind { RECEIVE, SEND, CONNECT, ACCEPT, OPEN, READ, WRITE, SYNC, NAME, PRINT, KINDS, NONE };

static uint64_t *page;
static const char *root;
static int chosen = -1, error_number, goes_on, is_short;
static uint64_t chosen_at;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (!found)
		abort();
	return found;
}

static int number(const char *name)
{
	const char *text = getenv(name);
	return text ? atoi(text) : -1;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULT_PAGE");
	if (!path)
		return;
	int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || at == MAP_FAILED)
		abort();
	REAL(close)(fd);
	root = getenv("FAULT_ROOT");
	chosen = number("FAULT_KIND");
	chosen_at = number("FAULT_AT");
	error_number = number("FAULT_ERRNO");
	goes_on = getenv("FAULT_ON") != NULL;
	is_short = getenv("FAULT_SHORT") != NULL;
	page = at;
}

/* Counts a call; returns whether it fails. */
static int fails(enum kind kind)
{
	if (!page || kind >= KINDS)
		return 0;
	uint64_t count = __atomic_add_fetch(&page[kind], 1, __ATOMIC_SEQ_CST);
	if ((int)kind != chosen || count < chosen_at || (count > chosen_at && !goes_on))
		return 0;
	__atomic_add_fetch(&page[KINDS], 1, __ATOMIC_SEQ_CST);
	errno = error_number;
	return 1;
}

static int is_below_root(const char *path)
{
	return root && strncmp(path, root, strlen(root)) == 0;
}

/* Whether the socket is TCP: the system's resolver and the runtime use others. */
static int is_tcp(int fd)
{
	int domain = 0, type = 0;
	socklen_t length = sizeof domain;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length))
		return 0;
	return (domain == AF_INET || domain == AF_INET6) && type == SOCK_STREAM;
}

/* The kind of a descriptor, for reading or for writing. */
static enum kind kind_of(int fd, int writes)
{
	struct stat stat;
	if (!page || fstat(fd, &stat))
		return NONE;
	if (S_ISSOCK(stat.st_mode))
		return !is_tcp(fd) ? NONE : writes ? SEND : RECEIVE;
	if (fd == 1 || fd == 2)
		return writes ? PRINT : NONE;
	if (fd == 0)
		return READ;
	if (S_ISREG(stat.st_mode)) {
		char name[64], path[4096];
		snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(name, path, sizeof path - 1);
		if (length > 0) {
			path[length] = 0;
			if (is_below_root(path))
				return writes ? WRITE : READ;
		}
	}
	return NONE;
}

/* A reset connection stays reset for both sides. */
static int broken(int fd, enum kind kind)
{
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	if (kind == SEND || kind == RECEIVE)
		REAL(connect)(fd, &nowhere, sizeof nowhere);
	errno = error_number;
	return -1;
}

static size_t capped(enum kind kind, size_t length)
{
	return is_short && kind != NONE && length > 1 ? 1 : length;
}

#define MOVE(name, parameters, arguments, writes)                                                                      \
	ssize_t name parameters                                                                                        \
	{                                                                                                              \
		enum kind kind = kind_of(fd, writes);                                                                  \
		if (fails(kind))                                                                                       \
			return broken(fd, kind);                                                                       \
		return REAL(name) arguments;                                                                           \
	}

MOVE(read, (int fd, void *at, size_t length), (fd, at, capped(kind, length)), 0)
MOVE(recv, (int fd, void *at, size_t length, int flags), (fd, at, capped(kind, length), flags), 0)
MOVE(recvfrom,
     (int fd, void *at, size_t length, int flags, struct sockaddr *from, socklen_t *size),
     (fd, at, capped(kind, length), flags, from, size), 0)
MOVE(recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), 0)
MOVE(readv, (int fd, const struct iovec *parts, int count), (fd, parts, count), 0)
MOVE(write, (int fd, const void *at, size_t length), (fd, at, capped(kind, length)), 1)
MOVE(send, (int fd, const void *at, size_t length, int flags), (fd, at, capped(kind, length), flags), 1)
MOVE(sendto,
     (int fd, const void *at, size_t length, int flags, const struct sockaddr *to, socklen_t size),
     (fd, at, capped(kind, length), flags, to, size), 1)
MOVE(sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), 1)
MOVE(writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), 1)

int connect(int fd, const struct sockaddr *to, socklen_t size)
{
	if (is_tcp(fd) && fails(CONNECT))
		return -1;
	return REAL(connect)(fd, to, size);
}

int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags)
{
	if (fails(ACCEPT))
		return -1;
	return REAL(accept4)(fd, from, size, flags);
}

#define OPEN(name, before, path, after)                                                                                \
	int name before                                                                                                \
	{                                                                                                              \
		va_list more;                                                                                          \
		va_start(more, flags);                                                                                 \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                                \
		va_end(more);                                                                                          \
		if (is_below_root(path) && fails(OPEN))                                                                \
			return -1;                                                                                     \
		return REAL(name) after;                                                                               \
	}

OPEN(open, (const char *path, int flags, ...), path, (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), path, (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), path, (at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), path, (at, path, flags, mode))

#define CALL(kind, name, parameters, arguments)                                                                        \
	int name parameters                                                                                            \
	{                                                                                                              \
		if (fails(kind))                                                                                       \
			return -1;                                                                                     \
		return REAL(name) arguments;                                                                           \
	}

CALL(SYNC, fsync, (int fd), (fd))
CALL(SYNC, fdatasync, (int fd), (fd))
CALL(NAME, rename, (const char *from, const char *to), (from, to))
CALL(NAME, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
CALL(NAME, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags))
CALL(NAME, link, (const char *from, const char *to), (from, to))
CALL(NAME, linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
