# What a header says of who has to call a function: _all is agreed, _each has a status of its own, any
# other is local. A comment counts for the declarations that follow it until there is another.
# awk -f labels.awk HEADERS
FNR == 1 { comment = ""; open = 0; before = "" }
/^\/\*/ { comment = ""; open = 1 }
open { comment = comment " " tolower($0) }
/\*\// { open = 0; next }
!open && match($0, /^([a-z0-9_]+ )?mpivf_[a-z0-9_]+\(/) && before !~ /^static/ {
    found++
    name = substr($0, RSTART, RLENGTH - 1)
    gsub(/[ \n*]+/, " ", comment)
    want = name ~ /_all$/ ? "agreed" : name ~ /_each$/ ? "own status" : "local"
    if (index(comment, want) == 0) {
        print FILENAME ":" FNR ": " name " does not say '" want "'"
        bad = 1
    }
}
{ before = $0 }
END {
    if (found < 500) { print "only " found " functions were found"; bad = 1 }
    exit bad
}
