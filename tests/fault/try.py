import sys, tempfile, time
from faults import *
from scenarios import all_scenarios
t=tempfile.mkdtemp(dir="/tmp/fw")
b=t+"/in"; os.makedirs(b)
t0=time.time()
s=all_scenarios(b)
print("inputs", time.time()-t0)
for n in sys.argv[1].split(","):
    for r in map(int,sys.argv[2].split(",")):
        t0=time.time()
        try:
            x,p=s[n].clean(t,r)
        except AssertionError as e:
            print("FAIL",n,r,e); continue
        print(n,r,round(time.time()-t0,2),len(x),dict(p) if r<3 else len(p))
