/* OpenSSL's idea of which process it runs in. Our build of OpenSSL returns this from openssl_get_fork_id(), so that a change makes
 * every generator reseed itself from random_get: without it all instances of one image would draw the same keys. */
int wx_fork_id = 1;
