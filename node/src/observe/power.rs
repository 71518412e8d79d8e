//! What this machine runs on.

use std::fs;
use std::path::Path;

use hedgerow_protocol::fact::Energy;

/// What this machine runs on, as `sysfs-class-power` says: on battery while one of the machine's own discharges.
pub fn energy() -> Energy {
    energy_of(Path::new(SUPPLIES))
}

fn energy_of(supplies: &Path) -> Energy {
    let Ok(supplies) = fs::read_dir(supplies) else { return Energy::Mains };
    supplies.flatten().map(|supply| of_supply(&supply.path())).max().unwrap_or(Energy::Mains)
}

fn of_supply(supply: &Path) -> Energy {
    let read = |name: &str| fs::read_to_string(supply.join(name)).unwrap_or_default().trim().to_owned();
    // The scope of a mouse's battery is `Device`; that of the machine's is `System`, or not said.
    if read("type") != "Battery" || read("scope") == "Device" || read("status") != "Discharging" {
        return Energy::Mains;
    }
    let low = read("capacity").parse::<u32>().is_ok_and(|percent| percent <= LOW_PERCENT);
    if low { Energy::Low } else { Energy::Battery }
}

const SUPPLIES: &str = "/sys/class/power_supply";
/// Guess: enough for what runs to be handed on.
const LOW_PERCENT: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_counts_while_it_discharges_and_is_the_machines_own() {
        let folder = tempfile::tempdir().unwrap();
        let supply = |name: &str, files: &[(&str, &str)]| {
            let path = folder.path().join(name);
            fs::create_dir_all(&path).unwrap();
            files.iter().for_each(|(file, text)| fs::write(path.join(file), format!("{text}\n")).unwrap());
        };
        assert_eq!(energy_of(&folder.path().join("none")), Energy::Mains);
        supply("mouse", &[("type", "Battery"), ("scope", "Device"), ("status", "Discharging"), ("capacity", "5")]);
        supply("ac", &[("type", "Mains")]);
        assert_eq!(energy_of(folder.path()), Energy::Mains);
        supply("bat", &[("type", "Battery"), ("status", "Charging"), ("capacity", "15")]);
        assert_eq!(energy_of(folder.path()), Energy::Mains);
        supply("bat", &[("status", "Discharging")]);
        assert_eq!(energy_of(folder.path()), Energy::Low);
        supply("bat", &[("capacity", "21")]);
        assert_eq!(energy_of(folder.path()), Energy::Battery);
    }
}
