//! The emulated machine: booted, listened to by its serial port, and ended.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, bail};

use super::verdict::{is_kernel_line, is_over};
use crate::{process::Process, stop::Stop};

/// Boots `image` on a CPU of `model` and gives all that its serial port said, once the tests are over.
pub(super) fn boot(
    model: &str,
    image: &Path,
    folder: &Path,
    patience: Duration,
    stop: &Stop,
) -> anyhow::Result<String> {
    let serial = folder.join("serial");
    fs::write(&serial, "")?;
    let at = |name: &str| folder.join(name).display().to_string();
    fs::write(folder.join("bochsrc"), configuration(model, image, folder))?;
    // Debian's Bochs has its debugger built in, which waits for a word first.
    fs::write(folder.join("debugger"), "continue\n")?;
    let (configuration, word) = (at("bochsrc"), at("debugger"));
    let arguments = ["TERM=vt100", "bochs", "-q", "-f", &configuration, "-rc", &word];
    // `env` becomes Bochs, so dropping it ends that.
    let mut process = Process::start("bochs", None, Path::new("env"), arguments, folder)?;
    let mut shown = 0;
    let said = stop.wait_for(patience, || {
        let said = String::from_utf8_lossy(&fs::read(&serial)?).into_owned();
        shown = show(&said, shown);
        if is_over(&said) {
            return Ok(Some(said));
        }
        if let Some(status) = process.status()? {
            bail!("bochs ended by itself ({status}): {}", process.complaint());
        }
        Ok(None)
    })?;
    said.with_context(|| format!("not over within {patience:?}; what it said is in {}", serial.display()))
}

/// Prints the whole lines of the tests behind the first `shown` bytes; how many bytes there are now.
fn show(said: &str, shown: usize) -> usize {
    let end = said.rfind('\n').map_or(0, |at| at + 1);
    let new = said.get(shown..end).unwrap_or_default();
    new.lines()
        .filter(|line| !is_kernel_line(line) && !line.is_empty())
        .for_each(|line| println!("  {line}"));
    end.max(shown)
}

fn configuration(model: &str, image: &Path, folder: &Path) -> String {
    let (image, folder) = (image.display(), folder.display());
    format!(
        "display_library: term
cpu: model={model}, count=1, ips=50000000, reset_on_triple_fault=0
clock: sync=none, time0=utc
memory: guest=256, host=256
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={image}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={folder}/serial
log: {folder}/bochs.log
panic: action=fatal
error: action=report
info: action=ignore
"
    )
}
