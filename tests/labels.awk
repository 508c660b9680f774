# What a header says of a function that every rank calls: _all is agreed, _each has a status of its own.
# A comment counts for the declarations that follow it until there is another. awk -f labels.awk HEADERS
FNR == 1 { comment = ""; open = 0 }
/^\/\*/ { comment = ""; open = 1 }
open { comment = comment " " tolower($0) }
/\*\// { open = 0; next }
!open && match($0, /^([a-z0-9_]+ )?mpivf_[a-z0-9_]+_(all|each)\(/) {
    found++
    name = substr($0, RSTART, RLENGTH - 1)
    gsub(/[ \n*]+/, " ", comment)
    want = name ~ /_all$/ ? "agreed" : "own status"
    if (index(comment, want) == 0) {
        print FILENAME ":" FNR ": " name " does not say '" want "'"
        bad = 1
    }
}
END {
    if (found < 90) { print "only " found " functions were found"; bad = 1 }
    exit bad
}
