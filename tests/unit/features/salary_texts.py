"""A few rows of each layout, in the words of the real exports."""

NEW_DK = (
    "Position,Name + ID,Name,ID,Roster Position,Salary,Game Info,TeamAbbrev,AvgPointsPerGame\n"
    "PG,Luka Doncic (37026735),Luka Doncic,37026735,PG/G/UTIL,11500,DAL@GSW 12/15/2024 08:30PM ET,DAL,56.26\n"
    "SG/SF,Max Christie (37026999),Max Christie,37026999,SG/SF/F/G/UTIL,4100,MEM@LAL 07/04/2024 09:30PM ET,LAL,\n"
)
OLD_DK = (
    '"Position","Name","Salary","GameInfo","AvgPointsPerGame","teamAbbrev"\n'
    '"PG","Chris Paul",9600,"Dal@LAC 10:30PM ET",44.880,"LAC"\n'
    '"C","DeAndre Jordan",6900,"Dal@LAC 10:30PM ET",31,"LAC"\n'
    '"PF","Anthony Davis",10500,"NO@Pho 07:30PM ET",47.148,"NO"\n'
)
OLD_FD = (
    '"Id","Position","First Name","Last Name","FPPG","Played","Salary","Game","Team","Opponent",'
    '"Injury Indicator","Injury Details","",""\n'
    '"15755","PF","Anthony","Davis","47.3","68","11200","NO@GS","NO","GS","","","",""\n'
    '"9488","SF","LeBron","James","44.2","69","11000","CLE@CHI","CLE","CHI","GTD","Back","",""\n'
)
NEW_FD = (
    "Id,Position,First Name,Nickname,Last Name,FPPG,Played,Salary,Game,Team,Opponent,Injury Indicator,"
    "Injury Details,Tier,,,Roster Position\n"
    "125062-15755,C/PF,Anthony,Anthony Davis,Davis,44.45,16,10200,PHI@DAL,DAL,PHI,,,,,,PF/C\n"
    "125062-1,PG,Nicolas,Nic Claxton,Claxton,,0,3500,PHI@DAL,PHI,DAL,O,Knee,,,,PG\n"
)
YAHOO = (
    "ID,First Name,Last Name,Position,Team,Opponent,Game,Time,Salary,FPPG,Injury Status,Starting\n"
    "nba.p.3407,Jamal,Crawford,SG,PHO,WAS,PHO@WAS,7:00PM EST,10,13.4,INJ,No\n"
    'nba.p.3860,Trevor,Ariza,SF,WAS,PHO,PHO@WAS,7:00PM EST,24,26.7," ",No\n'
)
