//! What Debian gives: the emulator and a boot loader, installed; a kernel and a shell, only unpacked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

/// A file that shows that a package is there, and the package.
const INSTALLED: [(&str, &str); 9] = [
    ("/usr/bin/bochs", "bochs"),
    // Of its displays the one that needs no screen.
    ("/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so", "bochs-term"),
    ("/usr/share/bochs/BIOS-bochs-latest", "bochsbios"),
    ("/usr/share/bochs/VGABIOS-lgpl-latest", "vgabios"),
    ("/usr/lib/ISOLINUX/isolinux.bin", "isolinux"),
    ("/usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common"),
    ("/usr/bin/xorriso", "xorriso"),
    ("/usr/bin/cpio", "cpio"),
    ("/usr/bin/strip", "binutils"),
];
/// The smallest of Debian's kernels; this package only names it.
const KERNEL: &str = "linux-image-cloud-amd64";
const SHELL: &str = "busybox-static";

/// The files of the guest that are not ours.
pub(super) struct System {
    /// The kernel.
    pub(super) kernel: PathBuf,
    /// A static busybox.
    pub(super) busybox: PathBuf,
}

impl System {
    /// Installs what is missing, and unpacks the rest below `folder`, once.
    pub(super) fn obtain(folder: &Path) -> anyhow::Result<Self> {
        let missing: Vec<&str> = INSTALLED
            .iter()
            .filter(|(file, _)| !Path::new(file).exists())
            .map(|(_, package)| *package)
            .collect();
        if !missing.is_empty() {
            println!("emulate: installing {}", missing.join(", "));
            run(Command::new("apt-get").arg("update"))?;
            let mut install = Command::new("apt-get");
            install.args(["install", "--yes", "--no-install-recommends"]).args(&missing);
            run(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
        }
        let unpacked = folder.join("debian");
        let busybox = unpacked.join("bin/busybox");
        if kernel_in(&unpacked).is_err() || !busybox.is_file() {
            fs::create_dir_all(&unpacked)?;
            for package in [kernel_package()?, SHELL.to_owned()] {
                println!("emulate: fetching {package}");
                unpack(&package, &unpacked)?;
            }
        }
        Ok(Self { kernel: kernel_in(&unpacked)?, busybox })
    }
}

/// The kernel the package of all versions depends on.
fn kernel_package() -> anyhow::Result<String> {
    let text = run(Command::new("apt-cache").args(["depends", KERNEL]))?;
    let named = text.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    Ok(format!("linux-image-{}", named.with_context(|| format!("{KERNEL} names no kernel"))?))
}

fn unpack(package: &str, to: &Path) -> anyhow::Result<()> {
    let download = tempfile::tempdir_in(to)?;
    run(Command::new("apt-get").args(["download", package]).current_dir(download.path()))?;
    let archive =
        fs::read_dir(download.path())?.next().with_context(|| format!("no archive of {package}"))??;
    run(Command::new("dpkg-deb").arg("--extract").arg(archive.path()).arg(to))?;
    Ok(())
}

fn kernel_in(unpacked: &Path) -> anyhow::Result<PathBuf> {
    let files = fs::read_dir(unpacked.join("boot"))?.collect::<Result<Vec<_>, _>>()?;
    let is_kernel = |file: &&fs::DirEntry| file.file_name().to_string_lossy().starts_with("vmlinuz-");
    Ok(files.iter().find(is_kernel).context("no kernel in the package")?.path())
}

/// Runs `command` to its end; what it printed, or its complaint.
pub(super) fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {name}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {}: {}", output.status, complaint.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
