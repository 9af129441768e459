-- What a query sees of system.settings: by `readonly` clients know which they may send.
SELECT
    name, default AS value, toUInt8(0) AS changed, description, min, max, disallowed_values,
    toUInt8(name NOT IN {spm_settings:Array(String)}) AS readonly, type, default, alias_for, is_obsolete, tier
FROM system.settings
