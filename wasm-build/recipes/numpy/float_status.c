/* The variable behind include/fenv.h: its own archive member, so that it stays one for all of numpy's extension modules. */
int wx_numpy_float_status = 0;
