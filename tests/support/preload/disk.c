/* Loaded before libc: records what a process does to the files below a folder, and makes its disk fail.
 *
 *   DISK_FOLDER  the folder that is watched
 *   DISK_LOG     folder for the records, one file per process: struct record, path, data, again and again, in
 *                the order in which things happened; without it nothing is recorded
 *   DISK_FAULTS  file with lines "sync EIO events.db": calls (open for writing, write, sync) that fail as long as
 *                they stand there, and how the file's path must end, or "part/" that it must contain; each
 *                failure adds a line to the file of that name + ".hit"; with KILL in place of an error's name
 *                the process ends by kill -9 before the call
 *
 * Files that cannot matter after a power cut are left out: SQLite's -shm, the hand-over's .ndjson.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "notes.h"

/* -- opening and closing -- */

static int open_watched(int (*opener)(int, const char *, int, ...), int at, const char *path, int flags, mode_t mode) {
    char place[PATH_MAX] = "";
    int saved = errno;
    if (folder_length) resolve(at, path, place);
    errno = saved;
    int is_writing = (flags & (O_CREAT | O_ACCMODE)) != O_RDONLY;
    int code = place[0] && is_writing && is_below(place) ? failure("open", place) : 0;
    if (code) {
        errno = code;
        return -1;
    }
    if (!place[0] || !is_watched(place)) return opener(at, path, flags, mode);
    pthread_mutex_lock(&mutex);
    int is_new = (flags & O_CREAT) && faccessat(at, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = opener(at, path, flags, mode);
    saved = errno;
    struct stat about;
    if (fd >= 0 && fd < MOST_FILES && fstat(fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode))) {
        files[fd] = (struct watched){strdup(place), about.st_ino};
        if (is_new) put(CREATE, about.st_ino, 0, place, NULL, 0);
        if (!is_new && (flags & O_TRUNC)) put(TRUNCATE, about.st_ino, 0, NULL, NULL, 0);
    }
    pthread_mutex_unlock(&mutex);
    errno = saved;
    return fd;
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                                                                    \
    int name(const char *path, int flags, ...) {                                      \
        va_list rest;                                                                 \
        va_start(rest, flags);                                                        \
        mode_t mode = mode_of(flags, rest);                                           \
        va_end(rest);                                                                 \
        return open_watched(REAL(openat64), AT_FDCWD, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                  \
    int name(int at, const char *path, int flags, ...) {                              \
        va_list rest;                                                                 \
        va_start(rest, flags);                                                        \
        mode_t mode = mode_of(flags, rest);                                           \
        va_end(rest);                                                                 \
        return open_watched(REAL(openat64), at, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode) { return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open(path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

int close(int fd) {
    pthread_mutex_lock(&mutex);
    forget(fd);
    pthread_mutex_unlock(&mutex);
    return REAL(close)(fd);
}

/* -- writing -- */

/* What was written of these parts, as parts. */
static int taken(const struct iovec *parts, int count, ssize_t bytes, struct iovec *out) {
    int n = 0;
    for (; n < count && bytes > 0; n++) {
        out[n] = parts[n];
        if ((ssize_t)out[n].iov_len > bytes) out[n].iov_len = bytes;
        bytes -= out[n].iov_len;
    }
    return n;
}

/* `offset` is -1 for the file's own position. */
static ssize_t write_watched(int fd, const struct iovec *parts, int count, off_t offset) {
    pthread_mutex_lock(&mutex);
    struct watched *file = watched(fd);
    int code = file ? failure("write", file->path) : 0;
    ssize_t done = -1;
    if (code) {
        errno = code;
    } else {
        off_t at = offset;
        if (file && offset < 0) {
            int is_appending = fcntl(fd, F_GETFL) & O_APPEND;
            at = lseek(fd, 0, is_appending ? SEEK_END : SEEK_CUR);
        }
        done = offset < 0 ? REAL(writev)(fd, parts, count) : REAL(pwritev64)(fd, parts, count, offset);
        int saved = errno;
        if (file && done > 0) {
            struct iovec written[IOV_MAX];
            put(WRITE, file->inode, at, NULL, written, taken(parts, count, done, written));
        }
        errno = saved;
    }
    pthread_mutex_unlock(&mutex);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) {
    if (!watched(fd)) return REAL(write)(fd, data, length);
    struct iovec part = {(void *)data, length};
    return write_watched(fd, &part, 1, -1);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    if (!watched(fd)) return REAL(pwrite64)(fd, data, length, offset);
    struct iovec part = {(void *)data, length};
    return write_watched(fd, &part, 1, offset);
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return watched(fd) ? write_watched(fd, parts, count, -1) : REAL(writev)(fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return watched(fd) ? write_watched(fd, parts, count, offset) : REAL(pwritev64)(fd, parts, count, offset);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return pwritev64(fd, parts, count, offset); }

/* -- sizes -- */

int ftruncate64(int fd, off64_t size) {
    pthread_mutex_lock(&mutex);
    struct watched *file = watched(fd);
    int done = REAL(ftruncate64)(fd, size);
    if (file && done == 0) put(TRUNCATE, file->inode, size, NULL, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return done;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int truncate64(const char *path, off64_t size) {
    int fd = open64(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int done = ftruncate64(fd, size), saved = errno;
    close(fd);
    errno = saved;
    return done;
}
int truncate(const char *path, off_t size) { return truncate64(path, size); }

int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    pthread_mutex_lock(&mutex);
    struct watched *file = watched(fd);
    int code = file ? failure("write", file->path) : 0;
    if (!code) code = REAL(posix_fallocate64)(fd, offset, length);
    if (file && !code) put(EXTEND, file->inode, offset + length, NULL, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return code;
}
int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }

int fallocate64(int fd, int how, off64_t offset, off64_t length) {
    pthread_mutex_lock(&mutex);
    struct watched *file = watched(fd);
    int done = REAL(fallocate64)(fd, how, offset, length);
    if (file && done == 0 && (how & ~(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE))) abort();
    if (file && done == 0 && (how & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))) put_zeros(file->inode, offset, length);
    if (file && done == 0 && !(how & FALLOC_FL_KEEP_SIZE)) put(EXTEND, file->inode, offset + length, NULL, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return done;
}
int fallocate(int fd, int how, off_t offset, off_t length) { return fallocate64(fd, how, offset, length); }

/* -- syncs: the mutex is not held while one is under way -- */

static int sync_watched(int fd, int (*sync)(int)) {
    pthread_mutex_lock(&mutex);
    struct watched *file = watched(fd);
    uint64_t inode = file ? file->inode : 0;
    char path[PATH_MAX] = "";
    if (file) snprintf(path, sizeof path, "%s", file->path);
    int64_t number = ++syncs;
    int code = file ? failure("sync", path) : 0;
    if (file) put(SYNC_BEGIN, inode, number, path, NULL, 0);
    pthread_mutex_unlock(&mutex);
    int done = code ? -1 : sync(fd);
    int saved = code ? code : errno;
    pthread_mutex_lock(&mutex);
    if (path[0]) put(done == 0 ? SYNC_END : SYNC_FAILED, inode, number, path, NULL, 0);
    pthread_mutex_unlock(&mutex);
    errno = saved;
    return done;
}

int fsync(int fd) { return sync_watched(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_watched(fd, REAL(fdatasync)); }

/* -- names -- */

static int rename_watched(int from_at, const char *from, int to_at, const char *to) {
    char source[PATH_MAX], target[PATH_MAX];
    resolve(from_at, from, source);
    resolve(to_at, to, target);
    pthread_mutex_lock(&mutex);
    int done = REAL(renameat)(from_at, from, to_at, to);
    int saved = errno;
    if (done == 0 && is_watched(source)) {
        struct iovec data = {target, strlen(target)};
        put(RENAME, 0, 0, source, &data, 1);
    }
    pthread_mutex_unlock(&mutex);
    errno = saved;
    return done;
}

int rename(const char *from, const char *to) { return rename_watched(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_at, const char *from, int to_at, const char *to) { return rename_watched(from_at, from, to_at, to); }

static int unlink_watched(int at, const char *path, int flags) {
    char place[PATH_MAX];
    resolve(at, path, place);
    pthread_mutex_lock(&mutex);
    int done = REAL(unlinkat)(at, path, flags);
    int saved = errno;
    if (done == 0 && !(flags & AT_REMOVEDIR) && is_watched(place)) put(UNLINK, 0, 0, place, NULL, 0);
    pthread_mutex_unlock(&mutex);
    errno = saved;
    return done;
}

int unlink(const char *path) { return unlink_watched(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return unlink_watched(at, path, flags); }
int remove(const char *path) {
    struct stat about;
    int is_folder = lstat(path, &about) == 0 && S_ISDIR(about.st_mode);
    return unlink_watched(AT_FDCWD, path, is_folder ? AT_REMOVEDIR : 0);
}
