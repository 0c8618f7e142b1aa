// A 32-bit MicroPython in node: node import_probe.mjs MICROPYTHON.mjs PROBE.py TREE [IMAGE]
// The files of TREE, and IMAGE, are put into its own file system.
import {readFileSync, readdirSync, statSync} from "node:fs";
import {join} from "node:path";

const [micropython, probe, tree, image] = process.argv.slice(2);
const {loadMicroPython} = await import(micropython);
const mp = await loadMicroPython({heapsize: 4 << 20, stdout: line => console.log(line)});

function copy(from, to) {
  mp.FS.mkdir(to);
  for (const name of readdirSync(from)) {
    const source = join(from, name);
    if (statSync(source).isDirectory()) copy(source, `${to}/${name}`);
    else mp.FS.writeFile(`${to}/${name}`, readFileSync(source));
  }
}

copy(tree, "/tree");
if (image) mp.FS.writeFile("/image", readFileSync(image));
mp.runPython(readFileSync(probe, "utf8"));
do {
  // It cannot see what JavaScript's stack holds, so it collects when the last call has returned.
  mp.runPython("gc.collect()");
  // A table of names is not cleared before it is used, and what was freed may point at garbage. The
  // pieces are small, for one may be kept by what JavaScript's stack holds.
  mp.runPython("pieces = [bytearray(128) for _ in range(2000)]");
  mp.runPython("pieces = None");
  mp.runPython("gc.collect()");
  mp.runPython("ended = step()");
} while (!mp.globals.get("ended"));
