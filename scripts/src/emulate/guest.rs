//! The CD the emulated machine boots: a kernel, and a file system that holds nothing but the tests.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::debian::{System, run};

/// The compacted form of the vector state and the state of protection keys are left out: Bochs 2.7 tells sizes of them that Linux
/// does not believe, and then Linux does without AVX altogether. APERF and MPERF are not there, though CPUID says so.
const KERNEL_ARGUMENTS: &str =
    "console=ttyS0,115200 nokaslr mitigations=off panic=-1 clearcpuid=pku,xsaves,xsavec,aperfmperf";

/// Runs every test program in turn. One thread each, so that what they say is in order.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /tmp
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox grep -m1 'model name' /proc/cpuinfo
cd /tests
for test in *; do
  echo \"BEGIN $test\"
  ./$test --test-threads 1 --nocapture 2>&1
  echo \"END $test $?\"
done
echo ALL DONE
/bin/busybox sleep 100000
";

/// What a test program is called in the guest, and in its lines `BEGIN` and `END`.
pub(super) fn names(tests: &[PathBuf]) -> Vec<String> {
    let name = |test: &PathBuf| {
        let stem = test.file_name().unwrap_or_default().to_string_lossy();
        // Without the hash of the build.
        stem.rsplit_once('-').map_or(&*stem, |(name, _)| name).to_owned()
    };
    tests.iter().map(name).collect()
}

/// Writes the image into `folder`.
pub(super) fn image(system: &System, tests: &[PathBuf], folder: &Path) -> anyhow::Result<PathBuf> {
    let scratch = tempfile::tempdir_in(folder)?;
    let (root, cd) = (scratch.path().join("root"), scratch.path().join("cd"));
    for folder in [root.join("bin"), root.join("tests"), cd.join("isolinux")] {
        fs::create_dir_all(folder)?;
    }
    fs::copy(&system.busybox, root.join("bin/busybox"))?;
    fs::write(root.join("init"), INIT)?;
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))?;
    for (test, name) in tests.iter().zip(names(tests)) {
        // Every byte is unpacked by the emulated CPU.
        run(Command::new("strip")
            .arg("--strip-debug")
            .arg("-o")
            .arg(root.join("tests").join(name))
            .arg(test))?;
        for library in libraries(test)? {
            let place = root.join(library.strip_prefix("/")?);
            fs::create_dir_all(place.parent().unwrap_or(&root))?;
            fs::copy(&library, place)?;
        }
    }
    let pack = "find . | cpio --quiet -o -H newc | gzip -1 > ../cd/initrd.gz";
    run(Command::new("sh").args(["-c", pack]).current_dir(&root))?;
    fs::copy(&system.kernel, cd.join("vmlinuz"))?;
    for file in ["/usr/lib/ISOLINUX/isolinux.bin", "/usr/lib/syslinux/modules/bios/ldlinux.c32"] {
        let name = Path::new(file).file_name().unwrap_or_default();
        fs::copy(file, cd.join("isolinux").join(name))?;
    }
    let menu = format!(
        "DEFAULT tests\nPROMPT 0\nLABEL tests\n KERNEL /vmlinuz\n APPEND initrd=/initrd.gz {KERNEL_ARGUMENTS}\n"
    );
    fs::write(cd.join("isolinux/isolinux.cfg"), menu)?;
    let image = folder.join("boot.iso");
    let loader =
        "-b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table";
    let mut xorriso = Command::new("xorriso");
    xorriso.args(["-as", "mkisofs", "-quiet"]).args(loader.split(' ')).arg("-o").arg(&image).arg(&cd);
    run(&mut xorriso)?;
    Ok(image)
}

/// The shared libraries of `program`, the loader among them, by their paths.
fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let text = run(Command::new("ldd").arg(program))?;
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    Ok(text.lines().filter_map(path).collect())
}
