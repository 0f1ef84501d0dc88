/*
 * A milter that looks at everything and objects to nothing: the filter that
 * Postfix is measured with. It negotiates no shortcuts, so that it is sent
 * each command, each header and the whole body, as a filter that scans is.
 *
 *   cc -O2 -o null-milter null.c -lmilter -lpthread
 *   null-milter inet:PORT@127.0.0.1
 */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <stdlib.h>

static sfsistat seen_connect(SMFICTX *c, char *h, _SOCK_ADDR *a) { (void)c; (void)h; (void)a; return SMFIS_CONTINUE; }
static sfsistat seen_one(SMFICTX *c, char *s) { (void)c; (void)s; return SMFIS_CONTINUE; }
static sfsistat seen_path(SMFICTX *c, char **a) { (void)c; (void)a; return SMFIS_CONTINUE; }
static sfsistat seen_header(SMFICTX *c, char *n, char *v) { (void)c; (void)n; (void)v; return SMFIS_CONTINUE; }
static sfsistat seen_stage(SMFICTX *c) { (void)c; return SMFIS_CONTINUE; }
static sfsistat seen_body(SMFICTX *c, unsigned char *b, size_t n) { (void)c; (void)b; (void)n; return SMFIS_CONTINUE; }

int main(int argc, char **argv)
{
    struct smfiDesc filter = {
        .xxfi_name = "null",
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = 0,
        .xxfi_connect = seen_connect,
        .xxfi_helo = seen_one,
        .xxfi_envfrom = seen_path,
        .xxfi_envrcpt = seen_path,
        .xxfi_header = seen_header,
        .xxfi_eoh = seen_stage,
        .xxfi_body = seen_body,
        .xxfi_eom = seen_stage,
        .xxfi_abort = seen_stage,
        .xxfi_close = seen_stage,
    };

    if (argc != 2) {
        fprintf(stderr, "usage: null-milter SOCKET\n");
        return 64;
    }
    if (smfi_setconn(argv[1]) == MI_FAILURE || smfi_register(filter) == MI_FAILURE) {
        fprintf(stderr, "null-milter: cannot use %s\n", argv[1]);
        return 69;
    }
    return smfi_main() == MI_SUCCESS ? 0 : 70;
}
