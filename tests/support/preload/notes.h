/* What disk.c notes down, of which files, and which calls it lets fail. */
enum kind { PRESENT = 1, CREATE, WRITE, TRUNCATE, EXTEND, ZERO, SYNC_BEGIN, SYNC_END, SYNC_FAILED, RENAME, UNLINK };

struct record {
    int64_t ns;
    uint64_t inode;
    int64_t offset; /* bytes; of a sync its number, of TRUNCATE and EXTEND the size, of ZERO the first byte */
    uint32_t kind;
    uint32_t path_bytes;
    uint64_t data_bytes; /* the data of ZERO is how many bytes, of RENAME the new path */
};

#define MOST_FILES 4096

struct watched {
    char *path; /* NULL: not watched */
    uint64_t inode;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct watched files[MOST_FILES];
static char folder[PATH_MAX];
static size_t folder_length;
static const char *faults;
static int log_fd = -1;
static int64_t syncs;

/* libc's own function of this name */
#define REAL(name)                                   \
    ({                                               \
        static __typeof__(&name) found;              \
        if (!found) found = real(#name);             \
        found;                                       \
    })

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

/* -- which files -- */

static int ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), wanted = strlen(ending);
    return length >= wanted && strcmp(text + length - wanted, ending) == 0;
}

static int is_below(const char *path) {
    if (!folder_length || strncmp(path, folder, folder_length) != 0) return 0;
    return path[folder_length] == '/' || path[folder_length] == 0;
}

static int is_watched(const char *path) {
    return is_below(path) && !ends_with(path, "-shm") && !ends_with(path, ".ndjson");
}

/* The path without links in its folder part, "" when that folder is not there. */
static void resolve(int at, const char *path, char *out) {
    char joined[2 * PATH_MAX], base[PATH_MAX] = "";
    out[0] = 0;
    if (path[0] != '/' && at != AT_FDCWD) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return;
        base[length] = 0;
    } else if (path[0] != '/' && !getcwd(base, sizeof base)) {
        return;
    }
    snprintf(joined, sizeof joined, "%s%s%s", base, base[0] ? "/" : "", path);
    char *slash = strrchr(joined, '/');
    if (!slash) return;
    char real_folder[PATH_MAX], name[NAME_MAX + 1];
    snprintf(name, sizeof name, "%s", slash + 1);
    *(slash == joined ? slash + 1 : slash) = 0;
    if (!realpath(joined, real_folder)) return;
    if (snprintf(out, PATH_MAX, "%s/%s", real_folder, name) >= PATH_MAX) out[0] = 0;
    if (strcmp(name, "") == 0 && out[0]) out[strlen(out) - 1] = 0;
}

static struct watched *watched(int fd) {
    return fd >= 0 && fd < MOST_FILES && files[fd].path ? &files[fd] : NULL;
}

static void forget(int fd) {
    if (watched(fd)) {
        free(files[fd].path);
        files[fd].path = NULL;
    }
}

/* -- the records; call with the mutex held -- */

static void put(enum kind kind, uint64_t inode, int64_t offset, const char *path, const struct iovec *data, int parts) {
    if (log_fd < 0) return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct record head = {now.tv_sec * 1000000000LL + now.tv_nsec, inode, offset, kind, 0, 0};
    struct iovec all[2 + IOV_MAX];
    int count = 2;
    head.path_bytes = path ? strlen(path) : 0;
    for (int n = 0; n < parts && count < IOV_MAX; n++) {
        head.data_bytes += data[n].iov_len;
        all[count++] = data[n];
    }
    all[0] = (struct iovec){&head, sizeof head};
    all[1] = (struct iovec){(void *)path, head.path_bytes};
    ssize_t wanted = sizeof head + head.path_bytes + head.data_bytes;
    if (REAL(writev)(log_fd, all, count) != wanted) abort(); /* a record with holes would prove nothing */
}

static void put_zeros(uint64_t inode, int64_t first, int64_t count) {
    if (log_fd < 0) return;
    int64_t size[1] = {count};
    struct iovec data = {size, sizeof size};
    put(ZERO, inode, first, NULL, &data, 1);
}

static void put_present(const char *path) {
    struct stat about;
    int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        char *content = malloc(about.st_size + 1);
        off_t length = 0;
        ssize_t got;
        while ((got = pread(fd, content + length, about.st_size - length, length)) > 0) length += got;
        struct iovec data = {content, length};
        put(PRESENT, about.st_ino, 0, path, &data, 1);
        free(content);
    }
    REAL(close)(fd);
}

static void put_folder(const char *path) {
    DIR *listing = opendir(path);
    struct dirent *entry;
    if (!listing) return;
    while ((entry = readdir(listing))) {
        char below[PATH_MAX];
        if (entry->d_name[0] == '.') continue;
        if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= PATH_MAX || !is_watched(below)) continue;
        if (entry->d_type == DT_DIR) put_folder(below);
        if (entry->d_type == DT_REG) put_present(below);
    }
    closedir(listing);
}

/* -- failures -- */

static int code_of(const char *name) {
    static const struct { const char *name; int code; } known[] = {
        {"EACCES", EACCES}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS},
    };
    for (size_t n = 0; n < sizeof known / sizeof *known; n++)
        if (strcmp(name, known[n].name) == 0) return known[n].code;
    abort();
}

static void note_hit(const char *call, const char *path, const char *name) {
    char place[PATH_MAX], line[2 * PATH_MAX];
    snprintf(place, sizeof place, "%s.hit", faults);
    int length = snprintf(line, sizeof line, "%s %s %s\n", call, name, strrchr(path, '/') + 1);
    int fd = REAL(open)(place, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || REAL(write)(fd, line, length) != length) abort();
    REAL(close)(fd);
}

/* The error with which this call fails now, 0 when it does not. */
static int failure(const char *call, const char *path) {
    char text[4096], wanted[16], name[16], part[256];
    int fd = faults ? REAL(open)(faults, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    REAL(close)(fd);
    text[length > 0 ? length : 0] = 0;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        if (sscanf(line, "%15s %15s %255s", wanted, name, part) != 3) continue;
        if (strcmp(wanted, call) == 0 && (ends_with(path, part) || (ends_with(part, "/") && strstr(path, part)))) {
            note_hit(call, path, name);
            if (strcmp(name, "KILL") == 0) raise(SIGKILL);
            return code_of(name);
        }
    }
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *wanted = getenv("DISK_FOLDER"), *logs = getenv("DISK_LOG");
    faults = getenv("DISK_FAULTS");
    if (!wanted || !realpath(wanted, folder)) return;
    folder_length = strlen(folder);
    if (!logs) return;
    char path[PATH_MAX];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(path, sizeof path, "%s/%019lld.log", logs, now.tv_sec * 1000000000LL + now.tv_nsec);
    log_fd = REAL(open)(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
    put_folder(folder);
}
