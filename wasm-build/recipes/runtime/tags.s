# The two exception tags that the compiler's libraries refer to and none of them defines: C++ exceptions and longjmp.
	.tagtype __cpp_exception i32
	.globl __cpp_exception
__cpp_exception:
	.tagtype __c_longjmp i32
	.globl __c_longjmp
__c_longjmp:
