/* A libcuda.so.1 from before there was anything in it. */
__attribute__((visibility("default"))) int cuInit(unsigned flags);

int cuInit(unsigned flags)
{
    return 0;
}
