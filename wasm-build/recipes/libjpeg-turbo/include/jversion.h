/* What the library's error table wants to know; the full copyright notice is in its README.ijg and LICENSE.md. */
#define JVERSION "6b  27-Mar-1998"
#define JCOPYRIGHT "see README.ijg and LICENSE.md of libjpeg-turbo 2.1.5"
#define JCOPYRIGHT_SHORT JCOPYRIGHT
