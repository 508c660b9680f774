// A program of somebody else, in C++: what an index holds, and an error as data.
// usage: consumer INDEX
#include <mpivf/mpivf.h>

#include <iostream>
#include <string>

int
main(int argc, char **argv)
{
    mpivf_context ctx;
    mpivf_par par;
    mpivf_index index;
    mpivf_build_options options;
    mpivf_context_init(&ctx);
    mpivf_par_start_all(&par, &argc, &argv, &ctx);
    mpivf_build_options_init(&options);
    if (argc != 2 || options.fan_in < 2 || std::string(mpivf_version()) != MPIVF_VERSION)
        return 2;
    mpivf_status status = mpivf_index_open(&ctx, "no such file", &index);
    if (status == MPIVF_OK || std::string(ctx.error).find("no such file") == std::string::npos)
        return 3;
    mpivf_clear_error(&ctx);
    status = mpivf_index_open(&ctx, argv[1], &index);
    if (status == MPIVF_OK)
        std::cout << index.meta.rows << " rows, " << index.meta.lists << " lists, "
                  << mpivf_metric_name(index.meta.metric) << "\n";
    else
        std::cerr << ctx.error << "\n";
    mpivf_index_close(&index);
    mpivf_par_stop_all(&par);
    return mpivf_exit_code(status);
}
